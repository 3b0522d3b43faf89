<?php

declare(strict_types=1);

namespace arca;

/**
 * What a userspace script knows of its request. Its name for scripts is arca.
 */
final class Userspace
{
    /** 8 bytes, another for each request. */
    public static string $guid = "\0\0\0\0\0\0\0\0";
    /** The address of the client, such as 192.0.2.7 or 2001:db8::7. */
    public static string $client_ip = '0.0.0.0';
    public static int $client_port = 0;
    /** 16 bytes that name the session; zeros: none. It identifies; it is no credential. */
    public static string $token = "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    /** The bytes of the message. Empty in on_http: see Request::body(). */
    public static string $request = '';

    /** Writes a line to mkd's log. */
    public static function log(mixed $message): void
    {
        Wire::send(Wire::LOG, Wire::LOGGED, (string) $message);
    }
}

class_alias(Userspace::class, 'arca');

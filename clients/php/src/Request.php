<?php

declare(strict_types=1);

namespace Megaki;

/**
 * An HTTP request as a message.
 *
 * @internal
 */
final class Request
{
    private const OWN = ['host', 'content-length', 'transfer-encoding'];

    /**
     * Returns a request as a message. What would break it is an InvalidArgumentException.
     *
     * @param array<string, string|list<string>> $headers
     */
    public static function write(string $method, string $path, string $host, array $headers, string $body): string
    {
        if (!self::isToken($method) || $method === 'CONNECT') {
            throw new \InvalidArgumentException("the method isn't one word, or is CONNECT");
        }
        if (!preg_match('/^\/[!"$-~]*$/D', $path)) {
            throw new \InvalidArgumentException("the path doesn't begin with a slash, or has a character that must be escaped");
        }
        if (!preg_match('/^[!-~]+$/D', $host) || strpbrk($host, ',/@?#\\') !== false) {
            throw new \InvalidArgumentException('the host is malformed');
        }
        $head = "$method $path HTTP/1.1\r\nHost: $host\r\n";
        foreach ($headers as $name => $values) {
            $name = (string) $name;
            if (in_array(strtolower($name), self::OWN, true)) {
                throw new \InvalidArgumentException("$name is written by the client");
            }
            foreach ((array) $values as $value) {
                if (!self::isToken($name) || preg_match('/[^\t\x20-\x7E\x80-\xFF]/', $value)) {
                    throw new \InvalidArgumentException("the header field '$name' is malformed");
                }
                $head .= "$name: $value\r\n";
            }
        }
        if ($body !== '' || in_array($method, ['POST', 'PUT', 'PATCH'], true)) {
            $head .= 'Content-Length: ' . strlen($body) . "\r\n";
        }
        return "$head\r\n$body";
    }

    public static function isToken(string $s): bool
    {
        return preg_match('/^[!#$%&\'*+\-.^_`|~0-9A-Za-z]+$/D', $s) === 1;
    }
}

<?php

declare(strict_types=1);

namespace arca;

/**
 * Has PHP's sessions (session_start and the others) work without a web server:
 * the id comes from the request's cookie, and the cookie goes into the answer.
 *
 * @internal
 */
final class Session
{
    /** @var array<string, string> settings as the script has left them after its start */
    private static array $settings = [];
    private static bool $there = false;
    /** The id that the client sent. */
    private static string $sent = '';

    public static function prepare(): void
    {
        self::$there = extension_loaded('session');
        if (self::$there) {
            ini_set('session.use_cookies', '0'); // PHP would set it where nobody looks
            ini_set('session.use_trans_sid', '0');
        }
    }

    /** Takes the settings to which each request returns. */
    public static function keep(): void
    {
        if (self::$there) {
            self::close();
            self::$settings = ini_get_all('session', false);
        }
    }

    /** Takes the id from a request's cookies. */
    public static function begin(array $cookies): void
    {
        if (!self::$there) {
            return;
        }
        $id = $cookies[session_name()] ?? '';
        if (!is_string($id) || !preg_match('/^[-,a-zA-Z0-9]{1,256}$/D', $id)) {
            $id = '';
        }
        if ($id !== self::$sent) {
            session_id(self::$sent = $id);
        }
    }

    /** @return list<array{string, string}> what an answer's header has to say of the session */
    public static function fields(bool $cached): array
    {
        if (!self::$there || !isset($_SESSION) && session_id() === self::$sent) {
            return [];
        }
        $fields = [];
        $id = session_id();
        if ($id !== '' && $id !== self::$sent) {
            $c = session_get_cookie_params();
            $expires = $c['lifetime'] > 0 ? time() + $c['lifetime'] : 0;
            $fields[] = ['Set-Cookie', Cookies::make(session_name(), $id, $expires, $c['path'], $c['domain'], $c['secure'], $c['httponly'], $c['samesite'])];
        }
        if (!$cached && session_cache_limiter() === 'nocache') {
            $fields[] = ['Expires', 'Thu, 19 Nov 1981 08:52:00 GMT'];
            $fields[] = ['Cache-Control', 'no-store, no-cache, must-revalidate'];
            $fields[] = ['Pragma', 'no-cache'];
        }
        return $fields;
    }

    /** Stores the session, if there is one, and forgets it. */
    public static function close(): void
    {
        if (!self::$there) {
            return;
        }
        if (session_status() === PHP_SESSION_ACTIVE) {
            session_write_close();
        }
        if (isset($_SESSION) || session_id() !== self::$sent) {
            unset($GLOBALS['_SESSION']);
            session_id(self::$sent = '');
            foreach (self::$settings as $name => $value) {
                if (ini_get($name) !== $value) {
                    ini_set($name, $value);
                }
            }
        } elseif (self::$settings && session_name() !== self::$settings['session.name']) {
            session_name(self::$settings['session.name']);
        }
    }
}

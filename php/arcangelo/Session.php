<?php

declare(strict_types=1);

namespace arca;

use function ini_get;
use function session_id;

/**
 * Makes PHP's sessions (session_start and the others) work without a web server: PHP
 * takes the id from $_COOKIE, and the cookie goes into the response.
 *
 * @internal
 */
final class Session
{
    /** @var array<string, string> settings after the script was loaded */
    private static array $settings = [];
    private static bool $there = false;
    /** Whether the script has a save handler of its own: once replaced, it can't be set again. */
    private static bool $own = false;
    /** @var array<string, mixed> the request's cookies */
    private static array $cookies = [];
    /** The id that the response has as a cookie. */
    private static string $announced = '';
    private static ?\SessionHandlerInterface $nowhere = null;

    public static function prepare(): void
    {
        self::$there = extension_loaded('session');
        if (self::$there) {
            // PHP's own cookie goes nowhere. But only with use_cookies PHP looks for one,
            // under the name of the session, and takes its parameters.
            ini_set('session.use_cookies', '1');
            ini_set('session.use_trans_sid', '0');
        }
    }

    /** Keeps the settings that each request begins with. */
    public static function keep(): void
    {
        if (self::$there) {
            self::close();
            self::$settings = ini_get_all('session', false);
            self::$own = session_module_name() === 'user';
        }
    }

    /** Begins a request with cookies. */
    public static function begin(array $cookies): void
    {
        self::$cookies = $cookies;
        self::$announced = '';
        if (self::$own) { // PHP has an id, though an empty one, and doesn't look for another
            session_id(self::sent());
        }
    }

    /** The id that the client sent, under the current name of sessions. */
    private static function sent(): string
    {
        $id = self::$cookies[session_name()] ?? '';
        return is_string($id) && preg_match('/^[-,a-zA-Z0-9]{1,256}$/D', $id) ? $id : '';
    }

    /** @return list<array{string, string}> fields about the session that a response hasn't got itself */
    public static function fields(Response $response): array
    {
        $id = self::$there ? session_id() : '';
        $fresh = $id !== '' && $id !== self::sent();
        if (!$fresh && !isset($_SESSION)) {
            return [];
        }
        $fields = [];
        if ($fresh && $response->hasCookie(session_name())) {
            self::$announced = $id;
        } elseif ($fresh && ini_get('session.use_cookies')) {
            self::$announced = $id;
            $c = session_get_cookie_params();
            $expires = $c['lifetime'] > 0 ? time() + $c['lifetime'] : 0;
            $fields[] = ['Set-Cookie', Cookies::make(session_name(), $id, $expires, $c['path'], $c['domain'], $c['secure'], $c['httponly'], $c['samesite'])];
            if (self::$own && session_name() !== self::$settings['session.name']) {
                Wire::send(Wire::LOG, Wire::WARNING, 'Warning: with a save handler that is set when the script loads, a session with the name '
                    . session_name() . ' is a new one in each request: set session.name when the script loads, too');
            }
        }
        if ($response->getHeader('Cache-Control') === null && session_cache_limiter() === 'nocache') {
            $fields[] = ['Expires', 'Thu, 19 Nov 1981 08:52:00 GMT'];
            $fields[] = ['Cache-Control', 'no-store, no-cache, must-revalidate'];
            $fields[] = ['Pragma', 'no-cache'];
        }
        return $fields;
    }

    /** Warns of a session whose cookie the client doesn't get, since the response had begun. */
    public static function checkCookie(): void
    {
        $id = self::$there ? session_id() : '';
        if ($id !== '' && $id !== self::$announced && $id !== self::sent() && ini_get('session.use_cookies')) {
            Wire::send(Wire::LOG, Wire::WARNING, 'Warning: the session was started after the response had begun: the client gets no cookie');
        }
    }

    /** Stores and closes the session, if there is one. */
    public static function close(): void
    {
        self::$cookies = [];
        if (!self::$there || session_id() === '' && !isset($_SESSION)) {
            return;
        }
        try {
            if (session_status() === PHP_SESSION_ACTIVE) {
                session_write_close();
            }
        } finally {
            unset($GLOBALS['_SESSION']);
            self::putBack();
            if (session_id() !== '') {
                self::forget();
            }
        }
    }

    /** Puts back the settings of sessions that a request has changed. */
    public static function putBack(): void
    {
        foreach (self::$settings as $name => $value) {
            if (ini_get($name) !== $value) {
                ini_set($name, $value);
            }
        }
    }

    /**
     * Makes PHP forget the id, so that it looks for one in the cookies of the next
     * request. PHP forgets it with a session that is destroyed: one that is stored nowhere.
     */
    private static function forget(): void
    {
        if (self::$own) {
            session_id('');
            return;
        }
        // phpcs:disable Generic.CodeAnalysis.UnusedFunctionParameter
        self::$nowhere ??= new class () implements \SessionHandlerInterface {
            public function open(string $path, string $name): bool
            {
                return true;
            }

            public function close(): bool
            {
                return true;
            }

            public function read(string $id): string
            {
                return '';
            }

            public function write(string $id, string $data): bool
            {
                return true;
            }

            public function destroy(string $id): bool
            {
                return true;
            }

            public function gc(int $lifetime): int
            {
                return 0;
            }
        };
        // phpcs:enable
        $changed = ['session.save_handler', 'session.use_cookies', 'session.cache_limiter'];
        $before = array_map(ini_get(...), $changed);
        if (session_set_save_handler(self::$nowhere, false)) {
            session_start(['use_cookies' => '0', 'cache_limiter' => '']);
            session_destroy();
            array_map(ini_set(...), $changed, $before);
            unset($GLOBALS['_SESSION']);
        }
    }
}

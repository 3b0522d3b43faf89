<?php

declare(strict_types=1);

namespace arca;

/**
 * Has PHP's sessions (session_start and the others) work without a web server:
 * PHP takes the id from $_COOKIE, and the cookie goes into the answer.
 *
 * @internal
 */
final class Session
{
    /** @var array<string, string> settings as the script has left them after its start */
    private static array $settings = [];
    private static bool $there = false;
    /** Whether the script has brought a save handler: it can't be set again, once it was replaced. */
    private static bool $own = false;
    /** @var array<string, mixed> the request's cookies */
    private static array $cookies = [];
    private static ?\SessionHandlerInterface $nowhere = null;

    public static function prepare(): void
    {
        self::$there = extension_loaded('session');
        if (self::$there) {
            // The cookie that PHP sets goes nowhere. But only so it looks for one, under
            // whatever name the session has, and can be told what the cookie is like.
            ini_set('session.use_cookies', '1');
            ini_set('session.use_trans_sid', '0');
        }
    }

    /** Takes the settings to which each request returns. */
    public static function keep(): void
    {
        if (self::$there) {
            self::close();
            self::$settings = ini_get_all('session', false);
            self::$own = session_module_name() === 'user';
        }
    }

    /** Takes the cookies of a request. */
    public static function begin(array $cookies): void
    {
        self::$cookies = $cookies;
        if (self::$own) { // PHP has an id, if only an empty one, and doesn't look for another
            session_id(self::sent());
        }
    }

    /** The id that the client sent, under the name that sessions have now. */
    private static function sent(): string
    {
        $id = self::$cookies[session_name()] ?? '';
        return is_string($id) && preg_match('/^[-,a-zA-Z0-9]{1,256}$/D', $id) ? $id : '';
    }

    /** @return list<array{string, string}> what an answer's header has to say of the session */
    public static function fields(bool $cached): array
    {
        if (!self::$there) {
            return [];
        }
        $id = session_id();
        $fresh = $id !== '' && $id !== self::sent();
        if (!isset($_SESSION) && !$fresh) {
            return [];
        }
        $fields = [];
        if ($fresh && ini_get('session.use_cookies')) {
            $c = session_get_cookie_params();
            $expires = $c['lifetime'] > 0 ? time() + $c['lifetime'] : 0;
            $fields[] = ['Set-Cookie', Cookies::make(session_name(), $id, $expires, $c['path'], $c['domain'], $c['secure'], $c['httponly'], $c['samesite'])];
            if (self::$own && session_name() !== self::$settings['session.name']) {
                Wire::send(Wire::LOG, Wire::WARNING, 'Warning: with a save handler that is set when the script loads, a session with the name '
                    . session_name() . ' is a new one in each request: set session.name when the script loads, too');
            }
        }
        if (!$cached && session_cache_limiter() === 'nocache') {
            $fields[] = ['Expires', 'Thu, 19 Nov 1981 08:52:00 GMT'];
            $fields[] = ['Cache-Control', 'no-store, no-cache, must-revalidate'];
            $fields[] = ['Pragma', 'no-cache'];
        }
        return $fields;
    }

    /** Stores the session, if there is one, forgets it, and puts the settings back. */
    public static function close(): void
    {
        if (!self::$there) {
            return;
        }
        try {
            if (session_status() === PHP_SESSION_ACTIVE) {
                session_write_close();
            }
        } finally {
            unset($GLOBALS['_SESSION']);
            self::$cookies = [];
            if (!headers_sent()) { // else PHP changes nothing, and starts no session any more
                foreach (self::$settings as $name => $value) {
                    if (ini_get($name) !== $value) {
                        ini_set($name, $value);
                    }
                }
                if (session_id() !== '') {
                    self::forget();
                }
            }
        }
    }

    /**
     * Has PHP forget the id, so that it looks for one in the next request's
     * cookies. It does so when a session is destroyed: one is, that is kept nowhere.
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

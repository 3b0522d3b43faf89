<?php

declare(strict_types=1);

namespace arca;

use function bin2hex;
use function count;
use function explode;
use function in_array;
use function microtime;
use function strlen;
use function strpos;
use function substr;

/**
 * Makes a Request from the frames of mkd, and sets the superglobals for each HTTP
 * request. They are cleared after it.
 *
 * @internal
 */
final class Globals
{
    /** The values of a request before its header, in this order. */
    private const METHOD = 0;
    private const TARGET = 1;
    private const URI = 2;
    private const PROTOCOL = 3;
    private const SCHEME = 4;
    private const HOST = 5;
    private const SERVER_NAME = 6;
    private const SERVER_ADDR = 7;
    private const SERVER_PORT = 8;
    private const SCRIPT_NAME = 9;
    private const LENGTH = 10;
    private const KEY = 11;
    private const FIELDS = 12;
    private const FIRST_FIELD = 13;

    private const NO_SESSION = "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

    /** How many names of fields are kept, and how many bytes one of them has at most. */
    private const KEPT_NAMES = 256;
    private const KEPT_NAME = 64;

    /** Methods whose forms are parsed. PHP itself knows POST alone, and so do $_POST and $_FILES. */
    private const FORM_METHODS = ['POST', 'PUT', 'PATCH', 'DELETE'];

    /** $_SERVER between requests. */
    private static array $between = [];
    /** $_ENV, always. */
    private static array $env = [];
    /** The part of $_SERVER that all requests share. */
    private static array $common = [];
    /** @var array<string, string> names of fields in $_SERVER, for recent fields */
    private static array $names = [];
    private static bool $set = false;
    /** @var array<string, list<string>> the header of the request */
    private static array $headers = [];
    /** @var list<string> what $_REQUEST consists of: G, P and C in the order of php.ini */
    private static array $order = [];

    /** Keeps what each request begins with. */
    public static function keep(string $script): void
    {
        self::$between = $_SERVER;
        self::$env = $_ENV;
        self::$common = array_filter(getenv(), fn (string|int $name) => !str_starts_with((string) $name, 'HTTP_'), ARRAY_FILTER_USE_KEY) + [
            'SCRIPT_FILENAME' => $script,
            'DOCUMENT_ROOT' => getcwd(),
            'SERVER_SOFTWARE' => 'mkd (like nginx)', // a name that WordPress knows as a server that can rewrite
            'GATEWAY_INTERFACE' => 'CGI/1.1',
        ];
        self::$order = str_split(strtoupper(ini_get('request_order') ?: ini_get('variables_order') ?: 'GP'));
    }

    /**
     * @param string          $block the request without its body
     * @param string|resource $body
     */
    public static function set(string $block, int $flags, mixed $body, int $length): Request
    {
        $v = explode("\0", $block);
        $mark = strpos($v[self::TARGET], '?');
        $query = $mark === false ? '' : substr($v[self::TARGET], $mark + 1);
        $server = self::$common;
        $server['SCRIPT_NAME'] = $server['PHP_SELF'] = $server['DOCUMENT_URI'] = $v[self::SCRIPT_NAME];
        $server['REQUEST_METHOD'] = $v[self::METHOD];
        $server['REQUEST_URI'] = $v[self::URI];
        $server['QUERY_STRING'] = $query;
        $server['SERVER_PROTOCOL'] = $v[self::PROTOCOL];
        $server['REQUEST_SCHEME'] = $v[self::SCHEME];
        if ($v[self::SCHEME] === 'https') {
            $server['HTTPS'] = 'on';
        }
        $server['SERVER_NAME'] = $v[self::SERVER_NAME];
        if ($v[self::SERVER_ADDR] !== '') {
            $server['SERVER_ADDR'] = $v[self::SERVER_ADDR];
        }
        $server['SERVER_PORT'] = $v[self::SERVER_PORT];
        $server['REMOTE_ADDR'] = Userspace::$client_ip;
        $server['REMOTE_PORT'] = (string) Userspace::$client_port;
        $session = Userspace::$token === self::NO_SESSION ? null : Userspace::$token;
        if ($session !== null) {
            $server['MEGAKI_SESSION'] = bin2hex($session);
        }
        if ($v[self::KEY] !== '') {
            $server['MEGAKI_KEY'] = $v[self::KEY];
        }
        if ($v[self::HOST] !== '') {
            $server['HTTP_HOST'] = $v[self::HOST];
        }

        $headers = $v[self::HOST] !== '' ? ['Host' => [$v[self::HOST]]] : [];
        $end = self::FIRST_FIELD + 2 * (int) $v[self::FIELDS];
        for ($i = self::FIRST_FIELD; $i < $end; $i += 2) {
            $field = $v[$i];
            $value = $v[$i + 1];
            $headers[$field][] = $value;
            $name = self::$names[$field] ?? self::name($field);
            $server[$name] = isset($server[$name])
                ? $server[$name] . ($name === 'HTTP_COOKIE' ? '; ' : ', ') . $value
                : $value;
        }
        $method = $v[self::METHOD];
        self::$headers = $headers;
        if ($v[self::LENGTH] > 0) {
            $server['CONTENT_LENGTH'] = $v[self::LENGTH];
        } elseif ($length > 0 || $method === 'POST' || $method === 'PUT' || $method === 'PATCH') {
            $server['CONTENT_LENGTH'] = (string) $length;
        }
        if (isset($server['CONTENT_LENGTH'])) {
            self::$headers['Content-Length'] = [$server['CONTENT_LENGTH']];
        }
        if (isset($server['HTTP_AUTHORIZATION'])) {
            $server += self::credentials($server['HTTP_AUTHORIZATION']);
        }
        $now = microtime(true);
        $server['REQUEST_TIME_FLOAT'] = $now;
        $server['REQUEST_TIME'] = (int) $now;

        $get = $form = $files = $uploads = [];
        if ($query !== '') {
            parse_str($query, $get);
        }
        $cookies = isset($server['HTTP_COOKIE']) ? Cookies::parse($server['HTTP_COOKIE']) : [];
        if ($flags & Wire::FORM) {
            $form = Form::fields($body);
            $body = '';
            $files = self::files(array_chunk(array_slice($v, $end, -1), 6), $uploads);
        } elseif ($length > 0 && in_array($method, self::FORM_METHODS, true) && self::isForm($server['CONTENT_TYPE'] ?? '')) {
            $form = Form::parse(self::text($body, $length));
        }
        self::$set = true;
        $_SERVER = $server;
        $_GET = $get;
        $_COOKIE = $cookies;
        $_POST = $method === 'POST' ? $form : [];
        $_FILES = $method === 'POST' ? $files : [];
        $_REQUEST = $get || $form || $cookies ? self::merged() : [];

        return new Request(
            method: $method,
            target: $v[self::TARGET],
            headers: $headers,
            query: $get,
            cookies: $cookies,
            form: $form,
            files: $uploads,
            body: $body,
            server: $server,
            scheme: $v[self::SCHEME],
            host: $v[self::HOST],
            protocol: $v[self::PROTOCOL],
            clientIp: Userspace::$client_ip,
            clientPort: Userspace::$client_port,
            session: $session,
        );
    }

    /**
     * What getallheaders returns.
     *
     * @return array<string, string> values by name
     */
    public static function headers(): array
    {
        $all = [];
        foreach (self::$headers as $name => $values) {
            $all[$name] = implode($name === 'Cookie' ? '; ' : ', ', $values);
        }
        return $all;
    }

    public static function clear(): void
    {
        self::$headers = [];
        if (self::$set) {
            $_GET = $_POST = $_COOKIE = $_FILES = $_REQUEST = [];
            $_SERVER = self::$between;
            $_ENV = self::$env;
            self::$set = false;
        }
    }

    /** Returns the name of a field in $_SERVER (RFC 3875, section 4.1.18). */
    private static function name(string $field): string
    {
        $name = strtr(strtoupper($field), '-', '_');
        if ($name !== 'CONTENT_TYPE') {
            $name = "HTTP_$name";
        }
        if (strlen($field) > self::KEPT_NAME) { // clients choose the names
            return $name;
        }
        if (count(self::$names) >= self::KEPT_NAMES) {
            self::$names = [];
        }
        return self::$names[$field] = $name;
    }

    private static function isForm(string $type): bool
    {
        return strcasecmp(substr($type, 0, strcspn($type, ';, ')), 'application/x-www-form-urlencoded') === 0;
    }

    /** Whether a request has a form that was parsed. It may be empty. */
    public static function hasForm(Request $request): bool
    {
        return in_array($request->method, self::FORM_METHODS, true)
            && preg_match('#^\s*(application/x-www-form-urlencoded|multipart/form-data)\s*(;|,|$)#i', (string) $request->header('Content-Type'));
    }

    /**
     * The body of a form, if it isn't too long.
     *
     * @param string|resource $body
     */
    private static function text(mixed $body, int $length): string
    {
        $most = self::bytes((string) ini_get('post_max_size'));
        if ($most > 0 && $length > $most) {
            Wire::send(Wire::LOG, Wire::WARNING, "Warning: a form of $length bytes isn't parsed: post_max_size is $most");
            return '';
        }
        if (is_string($body)) {
            return $body;
        }
        rewind($body);
        return stream_get_contents($body);
    }

    /** Reads a size of php.ini, such as 8M. */
    private static function bytes(string $size): int
    {
        $unit = ['K' => 10, 'M' => 20, 'G' => 30][strtoupper(substr(trim($size), -1))] ?? 0;
        return intval($size, 0) << $unit; // PHP takes 0x10 and 020, too
    }

    /** @return array<string, string> variables for an Authorization field */
    private static function credentials(string $field): array
    {
        if (strncasecmp($field, 'Digest ', 7) === 0) {
            return ['PHP_AUTH_DIGEST' => substr($field, 7)];
        }
        if (strncasecmp($field, 'Basic ', 6) !== 0) {
            return [];
        }
        [$text] = explode("\0", (string) base64_decode(substr($field, 6)), 2); // PHP's text ends there
        $pair = explode(':', $text, 2);
        return isset($pair[1]) ? ['PHP_AUTH_USER' => $pair[0]] + ($pair[1] === '' ? [] : ['PHP_AUTH_PW' => $pair[1]]) : [];
    }

    private static function merged(): array
    {
        $all = [];
        foreach (self::$order as $letter) {
            $some = match ($letter) {
                'G' => $_GET,
                'P' => $_POST,
                'C' => $_COOKIE,
                default => [],
            };
            if ($some !== []) {
                $all = $all ? array_replace_recursive($all, $some) : $some;
            }
        }
        return $all;
    }

    /**
     * Returns $_FILES, and sets $uploads to the same as objects. PHP itself nests the
     * names of fields.
     *
     * @param list<array{string, string, string, string, string, string}> $files
     */
    private static function files(array $files, array &$uploads): array
    {
        $list = [];
        $query = '';
        $deepest = (int) ini_get('max_input_nesting_level') - 1; // PHP adds a level: f[name][x]
        foreach ($files as $i => [$field, $path, $type, $file, $error, $size]) {
            if (substr_count($field, '[') > $deepest) {
                continue;
            }
            $name = substr($path, max((int) strrpos("/$path", '/'), (int) strrpos("\\$path", '\\')));
            $list[$i] = new Upload($name, $path, $type, $file, (int) $error, (int) $size);
            $query .= rawurlencode($field) . "=$i&";
        }
        $tree = Form::fields($query);
        $pick = function (array|string $node, callable $of) use (&$pick, $list): mixed {
            return is_array($node) ? array_map(fn ($child) => $pick($child, $of), $node) : $of($list[(int) $node]);
        };
        $uploads = $pick($tree, fn (Upload $u) => $u);
        return array_map(fn ($node) => [
            'name' => $pick($node, fn (Upload $u) => $u->name),
            'full_path' => $pick($node, fn (Upload $u) => $u->fullPath),
            'type' => $pick($node, fn (Upload $u) => $u->type),
            'tmp_name' => $pick($node, fn (Upload $u) => $u->path),
            'error' => $pick($node, fn (Upload $u) => $u->error),
            'size' => $pick($node, fn (Upload $u) => $u->size),
        ], $tree);
    }
}

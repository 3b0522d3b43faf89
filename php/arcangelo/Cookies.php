<?php

declare(strict_types=1);

namespace arca;

/**
 * Reads and writes the fields Cookie and Set-Cookie.
 *
 * @internal
 */
final class Cookies
{
    /** @return array<string, mixed> $_COOKIE for a Cookie field: the first of several cookies with the same name counts */
    public static function parse(string $field): array
    {
        $cookies = [];
        $nested = '';
        $left = $most = (int) ini_get('max_input_vars');
        foreach (explode(';', $field) as $cookie) {
            [$name, $value] = explode('=', ltrim($cookie), 2) + [1 => ''];
            if ($name === '') { // PHP doesn't count it
                continue;
            }
            if ($left-- <= 0) {
                Wire::send(Wire::LOG, Wire::WARNING, "Warning: there are more than $most cookies, the rest is dropped: max_input_vars");
                break;
            }
            $value = rawurldecode($value);
            if (strpbrk($name, "[]. \0\t") === false) { // most names are plain
                $cookies[$name] ??= $value;
                continue;
            }
            $parsed = Form::fields(rawurlencode($name) . '=');
            $key = (string) array_key_first($parsed);
            if ($key === '') {
                continue;
            }
            foreach (['__Host-', '__Secure-'] as $prefix) {
                if (str_starts_with($key, $prefix) && !str_starts_with($name, $prefix)) {
                    continue 2; // a name that only looks like this to PHP, which browsers don't check
                }
            }
            if (is_string($parsed[$key])) {
                $cookies[$key] ??= $value;
                continue;
            }
            $cookies[$key] = []; // keeps its position
            $nested .= rawurlencode($name) . '=' . rawurlencode($value) . '&';
        }
        return array_replace($cookies, Form::fields($nested));
    }

    /** A Set-Cookie field (RFC 6265, section 4.1). */
    public static function make(
        string $name,
        string $value,
        int $expires,
        string $path,
        string $domain,
        bool $secure,
        bool $httpOnly,
        string $sameSite,
    ): string {
        if ($name === '' || strpbrk($name, "=,; \t\r\n\v\f\0()<>@:\\\"/?{}") !== false) {
            throw new \InvalidArgumentException("a cookie can't have the name '$name'");
        }
        if (strpbrk($path . $domain . $sameSite, ",; \t\r\n\v\f\0") !== false) {
            throw new \InvalidArgumentException("the path, domain or SameSite of the cookie $name has an invalid character");
        }
        $field = $name . '=' . rawurlencode($value);
        if ($expires !== 0) {
            $field .= '; Expires=' . gmdate('D, d M Y H:i:s', $expires) . ' GMT; Max-Age=' . max(0, $expires - time());
        }
        return $field
            . ($path !== '' ? "; Path=$path" : '')
            . ($domain !== '' ? "; Domain=$domain" : '')
            . ($secure ? '; Secure' : '')
            . ($httpOnly ? '; HttpOnly' : '')
            . ($sameSite !== '' ? "; SameSite=$sameSite" : '');
    }
}

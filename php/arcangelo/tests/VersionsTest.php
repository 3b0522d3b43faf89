<?php

declare(strict_types=1);

use PHPUnit\Framework\TestCase;

/** Arcangelo runs on PHP 8.1: what is newer is used only where it exists. */
final class VersionsTest extends TestCase
{
    /** Functions of PHP 8.2 to 8.4. */
    private const NEWER = [
        'ini_parse_quantity', 'memory_reset_peak_usage', 'libxml_get_external_entity_loader', 'openssl_cipher_key_length', 'curl_upkeep',
        'mysqli_execute_query', 'json_validate', 'mb_str_pad', 'posix_eaccess', 'posix_pathconf', 'posix_fpathconf', 'posix_sysconf',
        'stream_context_set_options', 'socket_atmark', 'str_increment', 'str_decrement', 'array_find', 'array_find_key', 'array_any', 'array_all',
        'mb_trim', 'mb_ltrim', 'mb_rtrim', 'mb_ucfirst', 'mb_lcfirst', 'request_parse_body', 'http_get_last_response_headers',
        'http_clear_last_response_headers', 'fpow', 'bcround', 'bcfloor', 'bcceil', 'bcdivmod', 'grapheme_str_split', 'pcntl_getcpu', 'pcntl_setns',
    ];

    private const SYNTAX = [
        'a readonly class (8.2)' => '/\breadonly\s+(final\s+|abstract\s+)?class\b/',
        'the type true, false or null alone (8.2)' => '/\bf(unctio)?n\b[^(;]*\([^()]*\)\s*:\s*(true|false|null)\b(?!\|)/i',
        'a constant in a trait (8.2)' => '/\btrait\s+\w+[^}]*\bconst\b/',
        'a typed constant (8.3)' => '/\bconst\s+\??[a-z|]+\s+[A-Z_]+\s*=/',
        'a readonly property with another visibility for writing (8.4)' => '/\b(private|protected)\(set\)/',
        'new without parentheses around it (8.4)' => '/(?<!\()new\s+[\w\\\\]+\([^()]*\)->/',
        'a property with hooks (8.4)' => '/\$\w+\s*\{\s*(get|set)\b/',
    ];

    public function testSources(): void
    {
        foreach (glob(dirname(__DIR__) . '/*.php') as $file) {
            $code = $plain = file_get_contents($file);
            foreach (token_get_all($code) as $token) { // comments and strings aren't code
                if (is_array($token) && in_array($token[0], [T_COMMENT, T_DOC_COMMENT, T_CONSTANT_ENCAPSED_STRING], true)) {
                    $plain = str_replace($token[1], '', $plain);
                }
            }
            foreach (self::NEWER as $function) {
                if (preg_match("/(?<![\\w>:\$])$function\\(/", $plain)) {
                    self::assertStringContainsString("function_exists('$function')", $code, basename($file));
                }
            }
            foreach (self::SYNTAX as $what => $pattern) {
                self::assertDoesNotMatchRegularExpression($pattern, $plain, basename($file) . " has $what");
            }
        }
    }

    /** The patterns find what they are for. */
    public function testPatterns(): void
    {
        $newer = [
            'final readonly class A {}', 'function f(): true {}', 'trait T { const A = 1; }', 'const string A = 1;',
            'public private(set) int $a;', '$x = new A(1)->b();', 'public int $a { get => 1; }',
        ];
        self::assertCount(count(self::SYNTAX), $newer);
        foreach (array_combine(self::SYNTAX, $newer) as $pattern => $code) {
            self::assertMatchesRegularExpression($pattern, $code);
        }
    }
}

<?php

declare(strict_types=1);

namespace arca;

use function mb_detect_order;
use function mb_http_output;
use function mb_internal_encoding;
use function mb_language;
use function mb_regex_encoding;
use function mb_regex_set_options;
use function mb_substitute_character;

/**
 * Puts back what a request has changed of mbstring. It calls each function by its name,
 * which costs a third of a table of functions.
 *
 * @internal
 */
final class Mbstring
{
    // What the functions return without an argument; null: there is no such function.
    private static ?string $encoding = null;
    private static ?string $language = null;
    private static string|int|null $substitute = null;
    private static ?string $output = null;
    /** @var ?list<string> */
    private static ?array $order = null;
    private static ?string $regexEncoding = null;
    private static ?string $regexOptions = null;

    /** Keeps what each request begins with. */
    public static function keep(): void
    {
        self::$encoding = function_exists('mb_internal_encoding') ? mb_internal_encoding() : null;
        self::$language = function_exists('mb_language') ? mb_language() : null;
        self::$substitute = function_exists('mb_substitute_character') ? mb_substitute_character() : null;
        self::$output = function_exists('mb_http_output') ? mb_http_output() : null;
        self::$order = function_exists('mb_detect_order') ? mb_detect_order() : null;
        self::$regexEncoding = function_exists('mb_regex_encoding') ? mb_regex_encoding() : null;
        self::$regexOptions = function_exists('mb_regex_set_options') ? mb_regex_set_options() : null;
    }

    /** Puts it back. */
    public static function putBack(): void
    {
        if (self::$encoding !== null && mb_internal_encoding() !== self::$encoding) {
            mb_internal_encoding(self::$encoding);
        }
        if (self::$language !== null && mb_language() !== self::$language) {
            mb_language(self::$language);
        }
        if (self::$substitute !== null && mb_substitute_character() !== self::$substitute) {
            mb_substitute_character(self::$substitute);
        }
        if (self::$output !== null && mb_http_output() !== self::$output) {
            mb_http_output(self::$output);
        }
        if (self::$order !== null && mb_detect_order() !== self::$order) {
            mb_detect_order(self::$order);
        }
        if (self::$regexEncoding !== null && mb_regex_encoding() !== self::$regexEncoding) {
            mb_regex_encoding(self::$regexEncoding);
        }
        if (self::$regexOptions !== null && mb_regex_set_options() !== self::$regexOptions) {
            mb_regex_set_options(self::$regexOptions);
        }
    }
}

<?php

declare(strict_types=1);

namespace arca;

/**
 * Reads the fields of a form that is application/x-www-form-urlencoded. Those with files
 * mkd reads.
 *
 * @internal
 */
final class Form
{
    /** How many fields and files PHP takes of a form with files, as READY has it. Versions before 8.1.16 have no limit. */
    public static function parts(): string
    {
        $most = ini_get('max_multipart_body_parts');
        if ($most === false) {
            return '';
        }
        return pack('N', (int) $most >= 0 ? (int) $most : (int) ini_get('max_input_vars') + (int) ini_get('max_file_uploads'));
    }

    /**
     * Returns fields that are separated by &, as PHP nests their names. parse_str separates
     * them by arg_separator.input, which is meant for the query alone.
     *
     * @return array<string, mixed>
     */
    public static function fields(string $text): array
    {
        $separators = (string) ini_get('arg_separator.input');
        if ($separators !== '&') {
            $others = array_diff(str_split($separators), ['&']);
            $map = array_combine($others, array_map(rawurlencode(...), $others));
            if (!str_contains($separators, '&')) {
                $map['&'] = $separators[0];
            }
            $text = strtr($text, $map);
        }
        parse_str($text, $fields);
        return $fields;
    }

    /**
     * Returns $_POST. PHP itself takes one field more of a body than max_input_vars, and
     * counts empty ones, unlike parse_str.
     *
     * @return array<string, mixed>
     */
    public static function parse(string $body): array
    {
        $body = str_replace("\0", '%00', $body); // parse_str would end there
        $most = (int) ini_get('max_input_vars');
        $last = '';
        if (substr_count($body, '&') >= $most) {
            $fields = explode('&', $body, $most + 2);
            if (count($fields) > $most + 1 || $fields[$most] !== '') {
                Wire::send(Wire::LOG, Wire::WARNING, "Warning: Input variables exceeded $most. To increase the limit change max_input_vars in php.ini.");
            }
            $fields = array_filter(array_slice($fields, 0, $most + 1), fn ($field) => $field !== '');
            $last = count($fields) > $most ? array_pop($fields) : '';
            $body = implode('&', $fields);
        }
        $form = self::fields($body);
        if ($last !== '') {
            self::add($form, self::fields($last), urldecode(strstr("$last=", '=', true)));
        }
        return $form;
    }

    /**
     * Adds a field to a form, as parse_str would.
     *
     * @param mixed $path the field alone, as parse_str has it
     */
    private static function add(array &$form, mixed $path, string $name): void
    {
        preg_match_all('/\[[ \t\r\n]*([^]]*)]/', $name, $indexes);
        array_unshift($indexes[1], $name);
        $at = &$form;
        while (is_array($path)) {
            $key = array_key_first($path);
            if ($key === null) {
                return; // it isn't a field: it has no name, or nests too deep
            }
            if (!is_array($at)) {
                $at = [];
            }
            if (array_shift($indexes[1]) === '') {
                if (array_key_exists(PHP_INT_MAX, $at)) {
                    return;
                }
                $at[] = null;
                $at = &$at[array_key_last($at)];
            } else {
                $at = &$at[$key];
            }
            $path = $path[$key];
        }
        $at = $path;
    }
}

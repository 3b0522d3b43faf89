<?php

declare(strict_types=1);

namespace arca;

/**
 * Shows exceptions and dumped values in the browser. It runs only with dev.
 *
 * @internal
 */
final class Dev
{
    /** Lines of source around the one that matters. */
    private const AROUND = 7;
    private const STYLE = 'body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:62em;padding:0 1em;color:#222}'
        . 'h1{font-size:1.3em;white-space:pre-wrap}h2{font-size:1em;margin-top:2em}pre,code{font:13px/1.45 monospace}'
        . 'pre{background:#f5f5f3;padding:.7em;overflow-x:auto}.at{background:#fbd9d3;display:inline-block;width:100%}'
        . 'summary{cursor:pointer}table{border-collapse:collapse;width:100%}td{border-top:1px solid #ddd;padding:.2em .6em;'
        . 'vertical-align:top;font:13px monospace;word-break:break-all}';

    /**
     * Responds for a handler that has thrown. Returns the rest of the response; null if
     * one has begun already.
     */
    public static function respond(\Throwable $e, ?Request $request): ?string
    {
        Output::settle();
        if (!ResponseWriter::isOpen()) {
            return null;
        }
        if ($e instanceof DumpEnds) {
            return ResponseWriter::send(self::isBrowser() ? Response::html('', 500) : Response::text('', 500));
        }
        Wire::send(Wire::LOG, Wire::FAILURE, (string) $e);
        if (!self::isBrowser()) {
            return ResponseWriter::send(Response::text("$e\n", 500));
        }
        $printed = Output::collect();
        return ResponseWriter::send(Response::html(self::page($e, $request, $printed), 500));
    }

    /** Whether the client shows HTML. */
    private static function isBrowser(): bool
    {
        return str_contains($_SERVER['HTTP_ACCEPT'] ?? '', 'text/html');
    }

    private static function page(\Throwable $e, ?Request $request, string $printed): string
    {
        $page = '<!DOCTYPE html><html lang="en"><meta charset="UTF-8"><title>' . self::text($e->getMessage())
            . '</title><style>' . self::STYLE . '</style><body>';
        for ($cause = $e; $cause !== null; $cause = $cause->getPrevious()) {
            $page .= ($cause === $e ? '' : '<h2>caused by</h2>')
                . '<h1>' . self::text($cause::class . ': ' . $cause->getMessage()) . '</h1>'
                . '<p><code>' . self::text("{$cause->getFile()}:{$cause->getLine()}") . '</code></p>'
                . self::source($cause->getFile(), $cause->getLine());
            foreach ($cause->getTrace() as $frame) {
                if (isset($frame['file']) && !str_contains($frame['file'], 'arcangelo.php')) {
                    $name = ($frame['class'] ?? '') . ($frame['type'] ?? '') . $frame['function'];
                    $page .= '<details><summary><code>' . self::text("$name() {$frame['file']}:{$frame['line']}") . '</code></summary>'
                        . self::source($frame['file'], $frame['line']) . '</details>';
                }
            }
        }
        if ($printed !== '') {
            $page .= '<h2>printed before</h2><pre>' . self::text($printed) . '</pre>';
        }
        if ($request !== null) {
            $page .= '<h2>request</h2><p><code>' . self::text("$request->method " . $request->url()) . '</code></p>'
                . self::table('header', array_map(static fn (array $values) => implode(', ', $values), $request->headers))
                . self::table('query', $request->query) . self::table('form', $request->form)
                . self::table('cookies', $request->cookies) . self::table('files', $request->files);
        }
        return "$page</body></html>\n";
    }

    /** Describes an exception that keeps the script from loading, with the lines of source around it. */
    public static function describe(\Throwable $e): string
    {
        $text = '';
        foreach (self::around($e->getFile(), $e->getLine()) as $number => $row) {
            $text .= ($number === $e->getLine() ? '>' : ' ') . "$row\n";
        }
        return "$e\n\n$text";
    }

    private static function source(string $file, int $line): string
    {
        $text = '';
        foreach (self::around($file, $line) as $number => $row) {
            $row = self::text($row);
            $text .= $number === $line ? "<span class=\"at\">$row</span>\n" : "$row\n";
        }
        return $text === '' ? '' : "<pre>$text</pre>";
    }

    /** @return array<int, string> the lines around one of a file, by their number, which they begin with */
    private static function around(string $file, int $line): array
    {
        $lines = $line < 1 ? [] : (@file($file, FILE_IGNORE_NEW_LINES) ?: []);
        $rows = [];
        $first = max(1, $line - self::AROUND);
        foreach (array_slice($lines, $first - 1, 2 * self::AROUND + 1) as $i => $source) {
            $rows[$first + $i] = sprintf('%5d  %s', $first + $i, $source);
        }
        return $rows;
    }

    private static function table(string $title, array $values): string
    {
        $rows = '';
        foreach ($values as $name => $value) {
            $rows .= '<tr><td>' . self::text((string) $name) . '<td>' . self::text(is_string($value) ? $value : print_r($value, true));
        }
        return $rows === '' ? '' : "<h2>$title</h2><table>$rows</table>";
    }

    private static function text(string $text): string
    {
        return htmlspecialchars($text, ENT_QUOTES | ENT_SUBSTITUTE);
    }

    /** Prints values with the place where they were dumped. */
    public static function dump(array $values): void
    {
        $at = '';
        foreach (debug_backtrace(DEBUG_BACKTRACE_IGNORE_ARGS, 3) as $frame) {
            if (isset($frame['file']) && !str_contains($frame['file'], 'arcangelo.php')) {
                $at = "{$frame['file']}:{$frame['line']}";
                break;
            }
        }
        foreach ($values as $value) {
            ob_start();
            var_dump($value);
            $text = (string) ob_get_clean();
            echo self::isBrowser() ? '<pre><i>' . self::text($at) . "</i>\n" . self::text($text) . "</pre>\n" : "$at\n$text";
        }
    }
}

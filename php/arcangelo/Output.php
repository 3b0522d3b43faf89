<?php

declare(strict_types=1);

namespace arca;

use function count;
use function ob_list_handlers;

/**
 * Receives what scripts print: during an on_http it belongs to the response, else to
 * the log.
 *
 * One output buffer is always active, below those of scripts. Scripts can't end it and
 * don't see it: to them no buffer is active, like in PHP with output_buffering=0. PHP
 * calls it for each echo, so that flush() finds everything that was printed, even
 * below a buffer that a script has started.
 *
 * @internal
 */
final class Output
{
    /** Bytes after which the log gets what was printed. */
    private const TO_LOG = 8192;
    /** Bytes after which the client gets it, though nobody flushed it. */
    private const TO_CLIENT = 262144;
    /** The bit of the phase of a buffer's first call, which means nothing here. */
    private const FIRST = PHP_OUTPUT_HANDLER_START;

    /** The number of buffers that aren't the script's. */
    private static int $base = 1;
    private static string $printed = '';
    private static int $limit = self::TO_LOG;
    /** Why the client can't get what was printed. */
    private static ?\Throwable $error = null;

    public static function open(): void
    {
        ob_start(self::take(...), 1, PHP_OUTPUT_HANDLER_CLEANABLE | PHP_OUTPUT_HANDLER_FLUSHABLE);
        self::$base = count(ob_list_handlers()); // output_buffering starts one, too
    }

    /** The callback of the output buffer. An exception here would disable the buffer. */
    private static function take(string $text, int $phase): string
    {
        self::$printed .= $text;
        if (($phase & ~self::FIRST) === PHP_OUTPUT_HANDLER_WRITE && strlen(self::$printed) <= self::$limit) {
            return '';
        }
        if (Wire::isStranger()) { // standard output gets it
            return self::collect();
        }
        if ($phase & PHP_OUTPUT_HANDLER_CLEAN) {
            self::$printed = '';
            return '';
        }
        try {
            self::pass(($phase & PHP_OUTPUT_HANDLER_FLUSH) !== 0);
        } catch (\Throwable $e) {
            self::$error ??= $e;
        }
        return '';
    }

    /** Begins the response to an HTTP request: what is printed from now on belongs to it. */
    public static function toClient(): void
    {
        self::toLog();
        self::$limit = self::TO_CLIENT;
    }

    /** Ends that: what was printed, and what will be, goes to the log. */
    public static function toLog(): void
    {
        self::$limit = self::TO_LOG;
        self::$error = null;
        self::settle();
        if (self::$printed !== '') {
            self::pass(false);
        }
    }

    /** Returns what was printed and not sent yet, in all buffers, and forgets it. */
    public static function collect(): string
    {
        $printed = self::$printed;
        self::$printed = '';
        return $printed;
    }

    /** Whether something was printed that wasn't sent yet. */
    public static function hasPrinted(): bool
    {
        return self::$printed !== '';
    }

    /** Ends the buffers of the script. Returns false if one of them can't be ended. */
    public static function settle(): bool
    {
        if (count(ob_list_handlers()) <= self::$base) { // nearly always, and several times in each request
            return true;
        }
        if (Worker::$detectsLeaks) {
            Leaks::buffers(self::level());
        }
        // A notice about one that can't be ended would reach a handler of the script, which may throw.
        while (self::level() > 0 && (ob_get_status()['flags'] & PHP_OUTPUT_HANDLER_REMOVABLE) !== 0 && @ob_end_flush()) {
        }
        return self::level() === 0;
    }

    /**
     * Whether everything that is printed comes here. If the callback of a script's buffer
     * throws, PHP can't call this one, and disables it.
     */
    public static function isWhole(): bool
    {
        $buffer = ob_get_status();
        return $buffer !== [] && ($buffer['flags'] & PHP_OUTPUT_HANDLER_DISABLED) === 0;
    }

    /** The number of buffers that the script has started. */
    public static function level(): int
    {
        $level = count(ob_list_handlers()) - self::$base;
        return $level > 0 ? $level : 0;
    }

    /**
     * What flush() does: the client gets what was printed. If the client is gone,
     * the script ends here, unless it has called ignore_user_abort(true).
     */
    public static function flush(): void
    {
        if (Wire::isStranger()) {
            return;
        }
        self::pass(true);
        self::check();
        if (self::$limit === self::TO_CLIENT && ResponseWriter::isAbandoned() && !ini_get('ignore_user_abort')) {
            throw new ClientGone();
        }
    }

    /** Ends the buffers of the script. Throws what keeps the client from getting all that was printed. */
    public static function gather(): void
    {
        if (!self::settle() && array_sum(array_column(array_slice(ob_get_status(true), self::$base), 'buffer_used')) > 0) {
            throw new \LogicException('a part of the response is in an output buffer that was started without PHP_OUTPUT_HANDLER_REMOVABLE: nobody can end it');
        }
        self::check();
    }

    /** Throws what keeps the client from getting what was printed. */
    private static function check(): void
    {
        if (self::$error !== null) {
            throw self::$error;
        }
    }

    /** Hands on what was printed. */
    private static function pass(bool $flush): void
    {
        $text = self::collect();
        if (self::$limit === self::TO_CLIENT) {
            ResponseWriter::print($text, $flush);
        } elseif ($text !== '') {
            Wire::send(Wire::LOG, Wire::PRINTED, $text);
        }
    }

    /**
     * Handles PHP's notice that a script tried to end the buffer that it doesn't
     * see. What it wanted of the text is done, and false returned for other notices.
     */
    public static function isOurs(string $notice): bool
    {
        if (self::level() > 0 || !preg_match('/^ob_(end_flush|get_flush|end_clean|get_clean)\(\): Failed to /', $notice, $match)) {
            return false;
        }
        match ($match[1]) {
            'end_flush', 'get_flush' => self::flush(),
            default => self::$printed = '',
        };
        return true;
    }
}

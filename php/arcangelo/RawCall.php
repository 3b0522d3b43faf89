<?php

declare(strict_types=1);

namespace arca;

use function is_array;
use function is_object;
use function is_resource;
use function strlen;

/**
 * One raw message, which on_handle handles.
 *
 * @internal
 */
final class RawCall
{
    /** Whether the handler runs, and hasn't responded. */
    private static bool $handling = false;

    public static function run(?callable $start, ?callable $handle, int $flags): void
    {
        $error = null;
        $rest = '';
        try {
            $last = ($flags & Wire::MORE) === 0;
            while (!$last) {
                Userspace::$request .= Wire::part($last);
            }
            self::$handling = true;
            if ($start) {
                $start();
            }
            $result = ($handle ?? throw new \LogicException('the script has no on_handle'))();
            if (self::$handling) {
                self::$handling = false;
                $rest = self::last($result);
            }
        } catch (\Throwable $e) {
            $error = (string) $e;
        }
        self::$handling = false;
        try {
            unset($result); // a destructor may throw
            Session::close();
        } catch (\Throwable $e) {
            $error ??= (string) $e;
        }
        Output::toLog();
        Worker::complete($error, $rest, '');
    }

    /** Whether a handler runs that hasn't responded. */
    public static function isHandling(): bool
    {
        return self::$handling;
    }

    /** Responds with what on_handle could have returned, and lets the handler go on. */
    public static function finish(mixed $result): void
    {
        self::$handling = false;
        $rest = self::last($result);
        Output::toLog();
        Session::close();
        Worker::respond(null, $rest, '');
    }

    /** Sends the parts of a response that comes in parts. Returns what END takes along. */
    private static function last(mixed $result): string
    {
        if ($result instanceof \Traversable) {
            foreach ($result as $part) {
                Wire::send(Wire::PART, Wire::FLUSH, (string) $part);
                if (!Wire::isWanted()) {
                    break;
                }
            }
            return '';
        }
        if (is_array($result) || is_object($result) && !$result instanceof \Stringable || is_resource($result)) {
            throw new \UnexpectedValueException('on_handle returned ' . get_debug_type($result) . ', want a string');
        }
        $result = (string) $result;
        if (strlen($result) > Wire::LONGEST) {
            throw new \LengthException('on_handle returned over 4 GiB, which has to come in parts');
        }
        return $result;
    }
}

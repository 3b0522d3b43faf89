<?php

declare(strict_types=1);

namespace arca;

/**
 * One raw message, which on_handle handles.
 *
 * @internal
 */
final class RawCall
{
    public static function run(?callable $start, ?callable $handle, int $flags): void
    {
        $error = null;
        $rest = '';
        try {
            $last = ($flags & Wire::MORE) === 0;
            while (!$last) {
                Userspace::$request .= Wire::part($last);
            }
            if ($start) {
                $start();
            }
            $rest = self::last(($handle ?? throw new \LogicException('the script has no on_handle'))());
        } catch (\Throwable $e) {
            $error = (string) $e;
        }
        Output::toLog();
        Worker::stop();
        Output::toLog();
        Userspace::$request = '';
        Worker::end($error, $rest);
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

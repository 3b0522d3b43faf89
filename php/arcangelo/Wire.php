<?php

declare(strict_types=1);

namespace arca;

use function fread;
use function getmypid;
use function memory_get_usage;
use function ord;
use function pack;
use function strlen;
use function substr;
use function unpack;

/**
 * The frames between mkd and this worker, see docs/worker-frames.md: calls come from
 * descriptor 3, responses go to descriptor 4.
 *
 * @internal
 */
final class Wire
{
    public const CALL = 0x01;
    public const BODY = 0x02;
    public const LAST = 0x03;
    public const PING = 0x04;
    public const STOP = 0x05;
    public const HTTP = 0x06;
    public const GONE = 0x07;
    public const READY = 0x11;
    public const END = 0x12;
    public const PART = 0x13;
    public const ERROR = 0x14;
    public const LOG = 0x15;
    public const HEAD = 0x16;
    public const PONG = 0x17;

    /** A flag of CALL and HTTP: BODY or LAST follows. */
    public const MORE = 0x01;
    /** A flag of HTTP: the body has the fields of a form, which mkd has parsed. */
    public const FORM = 0x02;

    /** The head of a LOG: where its text comes from. */
    public const PRINTED = "\x01";
    public const LOGGED = "\x02";
    public const WARNING = "\x03";
    public const FAILURE = "\x04";
    public const LEAK = "\x05";

    /** The head of an ERROR: whether the worker takes further calls. */
    public const GOES_ON = "\x00";
    public const ENDS = "\x01";
    /** It works on after its response, and END follows. */
    public const WORKS = "\x02";

    /** A flag of END: the worker ends too. */
    public const LEAVES = "\x01";
    /** The head of an END that isn't the last: the response is complete, and the worker works on. */
    public const RESPONDED = "\0\0\0\0\0\0\0\0" . self::WORKS;

    /** A flag of PART: it is sent at once. */
    public const FLUSH = "\x01";

    /** Larger bodies are written separately, not copied behind a header. */
    public const COPY_LIMIT = 65536;
    /** The longest body of a frame, in bytes. */
    public const LONGEST = 0xffffffff;

    private const VERSION = 1;
    private const HEADER = 16;
    private const NOBODY = "\0\0\0\0\0\0\0\0";

    /** The id of the request in flight. */
    public static string $id = self::NOBODY;
    /** What an exit of the script would interrupt; null: nothing. */
    public static ?string $doing = 'its loading';
    /** Whether the last frame was sent: what comes after it goes to standard output and error. */
    public static bool $over = false;

    /** @var resource */
    private static $in;
    /** @var resource */
    private static $out;
    /** The process of the worker: a child that a script forks is another one, and sends no frames. */
    private static int $pid;
    /** Whether a frame is being written: no other may begin within it, or after one that was broken off. */
    private static bool $writing = false;
    /** Bytes that PHP had allocated from the system after the last request. */
    private static int $taken = -1;
    /** The same as END has it. */
    private static string $memory = '';

    public static function open(): void
    {
        self::$in = fopen('php://fd/3', 'rb') ?: exit(1);
        self::$out = fopen('php://fd/4', 'wb') ?: exit(1);
        stream_set_chunk_size(self::$in, 65536);
        self::$pid = getmypid();
    }

    /** Whether this process sends no frames: it is a child, or its last frame was sent. */
    public static function isStranger(): bool
    {
        return self::$over || getmypid() !== self::$pid;
    }

    /** Returns how much memory the script keeps, as END has it. It collects garbage when this has grown. */
    public static function memory(): string
    {
        $taken = memory_get_usage(true);
        if ($taken === self::$taken) {
            return self::$memory;
        }
        if ($taken > self::$taken) {
            gc_collect_cycles();
            gc_mem_caches();
            $taken = memory_get_usage(true);
        }
        self::$taken = $taken;
        return self::$memory = pack('J', $taken);
    }

    /** @return ?array{int, string, string, string} type, id, head and body of a call; null when there are no more */
    public static function receive(): ?array
    {
        while (null !== $frame = self::frame(true)) {
            self::$id = $frame[1];
            switch ($frame[0]) {
                case self::CALL:
                case self::HTTP:
                    if (strlen($frame[2]) < 19) {
                        self::refuse();
                    }
                    return $frame;
                case self::PING:
                    self::send(self::PONG, '', '');
                    self::$id = self::NOBODY;
                    break;
                case self::GONE: // the response was complete before it came
                    self::$id = self::NOBODY;
                    break;
                case self::STOP:
                    self::$id = self::NOBODY;
                    return null;
                default:
                    self::refuse();
            }
        }
        return null;
    }

    /** Ends a call whose response is complete. */
    public static function done(): void
    {
        self::$doing = null;
        self::$id = self::NOBODY;
    }

    /** Returns a further part of a message, and sets $last to whether it is the last. */
    public static function part(bool &$last): string
    {
        [$type, $id, , $body] = self::frame(false);
        if ($id !== self::$id || $type !== self::BODY && $type !== self::LAST) {
            self::refuse();
        }
        $last = $type === self::LAST;
        return $body;
    }

    /** Whether somebody takes the rest of the response. */
    public static function isWanted(): bool
    {
        $read = [self::$in];
        $none = null;
        if (!@stream_select($read, $none, $none, 0)) {
            return true;
        }
        $frame = self::frame(true);
        if ($frame === null) {
            self::leave(); // mkd is gone
        }
        if ($frame[0] !== self::GONE || $frame[1] !== self::$id) {
            self::refuse();
        }
        return false;
    }

    /** Returns the frame of a response's header, for send to write before another one. A length less than 0 is unknown. */
    public static function header(int $status, int $length, string $fields): string
    {
        return pack('CCnNa8nJ', self::VERSION, self::HEAD, 10, strlen($fields), self::$id, $status, $length) . $fields;
    }

    /** Sends a frame, after $before, which make has returned. */
    public static function send(int $type, string $head, string $body, string $before = ''): void
    {
        $stranger = self::isStranger();
        $idle = self::$doing === null && self::$id === self::NOBODY; // the handler of a signal logs something
        if ($type === self::LOG && ($stranger || $idle || self::$writing)) {
            is_resource(STDERR) && fwrite(STDERR, $body . "\n");
            return;
        }
        if ($stranger || self::$writing) {
            self::leave(); // a forked child that returned into the loop, or the handler of a signal that threw
        }
        $frame = $before . pack('CCnN', self::VERSION, $type, strlen($head), strlen($body)) . self::$id . $head;
        self::$writing = true;
        if (strlen($body) <= self::COPY_LIMIT) {
            $sent = self::write($frame . $body);
        } else {
            $sent = self::write($frame) && self::write($body);
        }
        self::$writing = false;
        if (!$sent) {
            self::leave(); // mkd is gone
        }
    }

    /** Ends the worker silently. */
    private static function leave(): never
    {
        self::$doing = null;
        exit(1);
    }

    private static function refuse(): never
    {
        is_resource(STDERR) && fwrite(STDERR, "a frame that isn't understood; does something else read descriptor 3?\n");
        self::leave();
    }

    /** @return ?array{int, string, string, string} type, id, head and body of a frame; null at the end */
    private static function frame(bool $orEnd): ?array
    {
        $header = self::read(self::HEADER, $orEnd);
        if ($header === null) {
            return null;
        }
        if (ord($header[0]) !== self::VERSION) {
            self::refuse();
        }
        $type = ord($header[1]);
        $id = substr($header, 8);
        ['head' => $head, 'body' => $body] = unpack('nhead/Nbody', $header, 2);
        if ($type === self::CALL || $type === self::HTTP) { // it may be too large for the memory
            self::$doing = 'reading a message';
            self::$id = $id;
        }
        if ($body > self::COPY_LIMIT) {
            return [$type, $id, self::read($head), self::read($body)];
        }
        $both = self::read($head + $body);
        return [$type, $id, substr($both, 0, $head), substr($both, $head)];
    }

    private static function read(int $length, bool $orEnd = false): ?string
    {
        $data = '';
        while (strlen($data) < $length) {
            $left = $length - strlen($data);
            $part = $left > self::COPY_LIMIT ? stream_get_contents(self::$in, $left) : fread(self::$in, $left);
            if ((string) $part === '') {
                if (feof(self::$in)) {
                    break;
                }
                // A signal that the script handles has interrupted it, or the script has made the pipe non-blocking.
                $read = [self::$in];
                $none = null;
                @stream_select($read, $none, $none, null);
            }
            $data .= $part;
        }
        if (strlen($data) < $length) {
            if ($orEnd && $data === '') {
                return null;
            }
            self::leave(); // mkd is gone
        }
        return $data;
    }

    private static function write(string $data): bool
    {
        $sent = (int) @fwrite(self::$out, $data);
        if ($sent === strlen($data)) {
            return true;
        }
        // A signal that the script handles has interrupted it, the script has made the pipe
        // non-blocking, or mkd is gone: PHP raises a notice only for the latter.
        $gone = false;
        set_error_handler(function (int $level, string $message, string $file, int $line) use (&$gone) {
            return match (true) {
                $file !== __FILE__ => Worker::onError($level, $message, $file, $line),
                str_starts_with($message, 'stream_select(') => true, // a signal has interrupted it
                default => $gone = true,
            };
        });
        while (!$gone && $sent < strlen($data)) {
            $written = (int) fwrite(self::$out, substr($data, $sent, self::COPY_LIMIT));
            $sent += $written;
            if ($written === 0) {
                $write = [self::$out];
                $none = null;
                stream_select($none, $write, $none, null);
            }
        }
        restore_error_handler();
        return !$gone;
    }
}

<?php

/**
 * Arcangelo: the loop inside a PHP worker of mkd.
 *
 * mkd starts it as `php arcangelo.php SCRIPT`. It loads the userspace script,
 * takes calls from descriptor 3 and writes answers to descriptor 4, in frames
 * that docs/worker-frames.md describes.
 */

declare(strict_types=1);

namespace {
    /** What a userspace script knows of the request it handles. */
    final class arca
    {
        /** 8 bytes, another for each request. */
        public static string $guid = "\0\0\0\0\0\0\0\0";
        /** Address of the client, such as 192.0.2.7 or 2001:db8::7. */
        public static string $client_ip = '0.0.0.0';
        public static int $client_port = 0;
        /** 16 bytes that name the session. It identifies; it is no credential. */
        public static string $token = "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
        /** The bytes of the message. */
        public static string $request = '';

        /** Writes a line to mkd's log. */
        public static function log(mixed $message): void
        {
            arca\Worker::log((string) $message);
        }
    }
}

namespace arca {
    /** @internal Userspace scripts use the class \arca. */
    final class Worker
    {
        private const VERSION = 1;
        private const HEADER = 16;

        private const CALL = 0x01;
        private const BODY = 0x02;
        private const LAST = 0x03;
        private const PING = 0x04;
        private const STOP = 0x05;
        private const READY = 0x11;
        private const END = 0x12;
        private const PART = 0x13;
        private const ERROR = 0x14;
        private const LOG = 0x15;
        private const PONG = 0x17;

        private const PRINTED = "\x01";
        private const LOGGED = "\x02";
        private const WARNING = "\x03";
        private const FAILURE = "\x04";

        /** In a READY's head: the script has a handler of its own for HTTP requests. */
        private const TAKES_HTTP = 0x01;

        /** In an ERROR's head: whether the worker takes further calls. */
        private const GOES_ON = "\x00";
        private const ENDS = "\x01";

        private const NOBODY = "\0\0\0\0\0\0\0\0";

        /** Bodies over this many bytes are written on their own, not copied behind a header. */
        private const COPY_LIMIT = 65536;
        /** What the length of a body can say. */
        private const LONGEST = 0xffffffff;

        /** @var resource */
        private static $in;
        /** @var resource */
        private static $out;
        /** Id of the request under way. */
        private static string $id = self::NOBODY;
        /** What a shutdown that nobody asked for interrupts; null: nothing. */
        private static ?string $doing = 'loading the script';
        /** Given back when memory is exhausted, to report it. */
        private static ?string $reserve = null;
        /** Bytes that PHP had taken from the system after the last request. */
        private static int $taken = 0;
        /** Of the worker: a child that a script forks has another, and no part in the frames. */
        private static int $pid;
        /** Whether a frame is being written: none may be begun in it, nor after one that was broken off. */
        private static bool $writing = false;
        /** Whether the last frame is sent: what comes after it goes to standard output and error. */
        private static bool $over = false;

        public static function start(string $script): void
        {
            self::$in = fopen('php://fd/3', 'rb') ?: exit(1);
            self::$out = fopen('php://fd/4', 'wb') ?: exit(1);
            stream_set_chunk_size(self::$in, 65536);
            self::$pid = getmypid();
            self::$reserve = str_repeat('.', 65536);
            @cli_set_process_title("mkd worker $script");
            ini_set('display_errors', '0');
            set_error_handler(self::onError(...));
            register_shutdown_function(self::onShutdown(...));
            ob_start(self::onOutput(...), 8192);
        }

        /** Ends a worker whose script couldn't be loaded. */
        public static function fail(\Throwable $e): never
        {
            self::$doing = null;
            self::send(self::ERROR, self::ENDS, (string) $e);
            exit(1);
        }

        /** Takes calls until mkd closes descriptor 3. */
        public static function run(mixed $userspace): never
        {
            try {
                [$init, $start, $handle, $stop] = self::callables($userspace);
                self::$doing = 'on_init';
                if ($init) {
                    $init();
                }
            } catch (\Throwable $e) {
                self::fail($e);
            }
            self::settleOutput();
            self::$doing = null;
            self::send(self::READY, pack('NC', getmypid(), isset($userspace['on_http']) ? self::TAKES_HTTP : 0), PHP_VERSION);

            while (null !== $call = self::receive()) {
                [$head, \arca::$request] = $call;
                unset($call); // the script has the message alone, and may let go of it
                self::$doing = 'a request';
                \arca::$guid = self::$id;
                \arca::$token = substr($head, 1, 16);
                \arca::$client_port = (ord($head[17]) << 8) | ord($head[18]);
                \arca::$client_ip = substr($head, 19);
                self::answer($start, $handle, $stop);
                self::$doing = null;
                self::$id = self::NOBODY;
            }
            self::settleOutput();
            self::$over = true;
            exit(0);
        }

        /** @return array{?callable, ?callable, ?callable, ?callable} */
        private static function callables(mixed $userspace): array
        {
            if (!is_array($userspace)) {
                throw new \UnexpectedValueException('the script has to set $ARCANGELO_USERSPACE to an array of callables: on_init, on_start, on_handle, on_stop');
            }
            $found = [];
            foreach (['on_init', 'on_start', 'on_handle', 'on_stop'] as $name) {
                $f = $userspace[$name] ?? null;
                if ($f !== null && !is_callable($f)) {
                    throw new \UnexpectedValueException("\$ARCANGELO_USERSPACE['$name'] can't be called");
                }
                $found[] = $f;
            }
            if ($found[2] === null && !isset($userspace['on_http'])) {
                throw new \UnexpectedValueException("\$ARCANGELO_USERSPACE['on_handle'] is missing");
            }
            return $found;
        }

        private static function answer(?callable $start, ?callable $handle, ?callable $stop): void
        {
            $answer = $error = null;
            try {
                if ($start) {
                    $start();
                }
                $answer = self::last($handle ? $handle() : throw new \LogicException('the script has no on_handle'));
            } catch (\Throwable $e) {
                $error = (string) $e;
            }
            try {
                if ($stop) {
                    $stop();
                }
            } catch (\Throwable $e) {
                self::send(self::LOG, self::FAILURE, "on_stop: $e");
            }
            self::settleOutput();
            \arca::$request = '';
            if ($error !== null) {
                self::send(self::ERROR, self::GOES_ON . self::memory(), $error);
                return;
            }
            if (strlen($answer) > self::COPY_LIMIT) { // it goes first, so that it isn't counted
                self::send(self::PART, '', $answer);
                $answer = '';
            }
            self::send(self::END, self::memory(), $answer);
        }

        /** How much memory the script keeps. What can be given back is, once there is more than before. */
        private static function memory(): string
        {
            if (memory_get_usage(true) > self::$taken) {
                gc_collect_cycles();
                gc_mem_caches();
            }
            self::$taken = memory_get_usage(true);
            return pack('J', self::$taken);
        }

        /** Sends the parts of an answer that comes in parts, and returns what is left of it. */
        private static function last(mixed $answer): string
        {
            if ($answer instanceof \Traversable) {
                foreach ($answer as $part) {
                    self::send(self::PART, '', (string) $part);
                }
                return '';
            }
            if (is_array($answer) || is_object($answer) && !$answer instanceof \Stringable || is_resource($answer)) {
                throw new \UnexpectedValueException('on_handle returned ' . get_debug_type($answer) . ', a string is due');
            }
            $answer = (string) $answer;
            if (strlen($answer) > self::LONGEST) {
                throw new \LengthException('on_handle returned over 4 GiB, which has to come in parts');
            }
            return $answer;
        }

        public static function log(string $message): void
        {
            self::send(self::LOG, self::LOGGED, $message);
        }

        /** What a script prints goes to the log. */
        private static function onOutput(string $output): string
        {
            if (self::$over || getmypid() !== self::$pid) {
                return $output;
            }
            if ($output !== '') {
                self::send(self::LOG, self::PRINTED, $output);
            }
            return '';
        }

        /** Logs what was printed, and ends the buffers that a script left open. */
        private static function settleOutput(): void
        {
            while (ob_get_level() > 1 && @ob_end_flush()) {
            }
            if (ob_get_level() === 0) {
                ob_start(self::onOutput(...), 8192);
            } elseif (ob_get_length() > 0) {
                ob_flush();
            }
        }

        private static function onError(int $level, string $message, string $file, int $line): bool
        {
            if ($level === E_USER_ERROR) {
                return false; // PHP ends the script, as it does without a handler
            }
            if (error_reporting() & $level) {
                self::send(self::LOG, self::WARNING, self::levelName($level) . ": $message in $file:$line");
            }
            return true;
        }

        private static function levelName(int $level): string
        {
            return match ($level) {
                E_WARNING, E_USER_WARNING, E_CORE_WARNING, E_COMPILE_WARNING => 'Warning',
                E_NOTICE, E_USER_NOTICE => 'Notice',
                E_DEPRECATED, E_USER_DEPRECATED => 'Deprecated',
                default => 'Error',
            };
        }

        /** Tells of a script that ended: by exit, by a fatal error, by exhausted memory. */
        private static function onShutdown(): void
        {
            self::$reserve = null;
            if (self::$doing === null || getmypid() !== self::$pid) {
                self::$over = true;
                return;
            }
            $e = error_get_last();
            self::settleOutput();
            $fatal = E_ERROR | E_PARSE | E_CORE_ERROR | E_COMPILE_ERROR | E_USER_ERROR | E_RECOVERABLE_ERROR;
            $why = $e !== null && $e['type'] & $fatal
                ? "Fatal error: {$e['message']} in {$e['file']}:{$e['line']}"
                : 'the script called exit during ' . self::$doing;
            self::$doing = null;
            self::send(self::ERROR, self::ENDS, $why);
            self::$over = true;
        }

        /** @return ?array{string, string} head and message of a call; null when there are no more */
        private static function receive(): ?array
        {
            while (null !== $frame = self::frame(true)) {
                [$type, self::$id, $head, $body] = $frame;
                switch ($type) {
                    case self::CALL:
                        if (strlen($head) < 19) {
                            self::refuse();
                        }
                        if (ord($head[0]) & 1) {
                            self::append($body);
                        }
                        return [$head, $body];
                    case self::PING:
                        self::send(self::PONG, '', '');
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

        /** Appends the further parts of a message, in place. */
        private static function append(string &$message): void
        {
            do {
                [$type, $id, , $body] = self::frame(false);
                if ($id !== self::$id || $type !== self::BODY && $type !== self::LAST) {
                    self::refuse();
                }
                $message .= $body;
            } while ($type !== self::LAST);
        }

        /** @return ?array{int, string, string, string} type, id, head and body of a frame; null at the end */
        private static function frame(bool $orEnd): ?array
        {
            $header = self::read(self::HEADER, $orEnd);
            if ($header === null) {
                return null;
            }
            $f = unpack('Cversion/Ctype/nhead/Nbody', $header);
            if ($f['version'] !== self::VERSION) {
                self::refuse();
            }
            if ($f['type'] === self::CALL) { // it may be too large for the memory that there is
                self::$doing = 'reading a message';
                self::$id = substr($header, 8);
            }
            return [$f['type'], substr($header, 8), self::read($f['head']), self::read($f['body'])];
        }

        private static function refuse(): never
        {
            self::$doing = null;
            fwrite(STDERR, "a frame that isn't understood; does something else read descriptor 3?\n");
            exit(1);
        }

        private static function read(int $length, bool $orEnd = false): ?string
        {
            $data = '';
            // Less comes if a signal interrupts it that the script handles.
            while (strlen($data) < $length && !feof(self::$in)) {
                $left = $length - strlen($data);
                $data .= $left > self::COPY_LIMIT
                    ? stream_get_contents(self::$in, $left)
                    : (string) fread(self::$in, $left);
            }
            if (strlen($data) < $length) {
                if ($orEnd && $data === '') {
                    return null;
                }
                self::$doing = null;
                exit(1); // mkd is gone
            }
            return $data;
        }

        private static function send(int $type, string $head, string $body): void
        {
            $stranger = self::$over || getmypid() !== self::$pid;
            $idle = self::$doing === null && self::$id === self::NOBODY; // a signal's handler has something to say
            if ($type === self::LOG && ($stranger || $idle || self::$writing)) {
                is_resource(STDERR) && fwrite(STDERR, $body . "\n");
                return;
            }
            if ($stranger || self::$writing) {
                self::$doing = null;
                exit(1); // a forked child that returned into the loop, or a signal's handler that threw
            }
            $frame = pack('CCnN', self::VERSION, $type, strlen($head), strlen($body)) . self::$id . $head;
            self::$writing = true;
            if (strlen($body) <= self::COPY_LIMIT) {
                $sent = self::write($frame . $body);
            } else {
                $sent = self::write($frame) && self::write($body);
            }
            self::$writing = false;
            if (!$sent) {
                self::$doing = null;
                exit(1); // mkd is gone
            }
        }

        private static function write(string $data): bool
        {
            $sent = (int) @fwrite(self::$out, $data);
            if ($sent === strlen($data)) {
                return true;
            }
            // A signal that the script handles interrupted it, or mkd is gone:
            // PHP has a notice for the latter alone.
            $gone = false;
            set_error_handler(function (int $level, string $message, string $file, int $line) use (&$gone) {
                return $file === __FILE__ ? $gone = true : self::onError($level, $message, $file, $line);
            });
            while (!$gone && $sent < strlen($data)) {
                $sent += (int) fwrite(self::$out, substr($data, $sent));
            }
            restore_error_handler();
            return !$gone;
        }
    }
}

namespace {
    arca\Worker::start($argv[1]);
    try {
        require $argv[1];
    } catch (Throwable $e) {
        arca\Worker::fail($e);
    }
    arca\Worker::run($ARCANGELO_USERSPACE ?? null);
}

<?php

declare(strict_types=1);

namespace arca;

/**
 * The life of a worker: it loads the userspace script, takes calls, and answers
 * each of them.
 *
 * @internal
 */
final class Worker
{
    /** In a READY's head: the script has a handler of its own for HTTP requests. */
    private const TAKES_HTTP = 0x01;

    private const CALLBACKS = ['on_init', 'on_start', 'on_handle', 'on_http', 'on_stop'];

    /** @var array<string, ?callable> what the script has set */
    private static array $on = [];
    /** Given back when memory is exhausted, to report it. */
    private static ?string $reserve = null;
    /** @var callable the handler of errors that is there between requests */
    private static $errorHandler;
    /** @var ?callable the same for exceptions */
    private static $exceptionHandler;

    public static function start(string $script): void
    {
        Wire::open();
        self::$reserve = str_repeat('.', 65536);
        @cli_set_process_title("mkd worker $script");
        ini_set('display_errors', '0');
        Session::prepare();
        set_error_handler(self::onError(...));
        register_shutdown_function(self::onShutdown(...));
        ob_start(self::onOutput(...), 8192);
    }

    /** Ends a worker whose script couldn't be loaded. */
    public static function fail(\Throwable $e): never
    {
        Wire::$doing = null;
        Wire::send(Wire::ERROR, Wire::ENDS, (string) $e);
        exit(1);
    }

    /** Takes calls until mkd closes descriptor 3. */
    public static function run(mixed $userspace): never
    {
        try {
            self::$on = self::callables($userspace);
            Wire::$doing = 'on_init';
            if (self::$on['on_init']) {
                self::$on['on_init']();
            }
        } catch (\Throwable $e) {
            self::fail($e);
        }
        self::settleOutput();
        self::$errorHandler = self::peekErrorHandler();
        self::$exceptionHandler = self::peekExceptionHandler();
        Globals::keep($GLOBALS['argv'][1]);
        Session::keep();
        Wire::$doing = null;
        Wire::send(Wire::READY, pack('NC', getmypid(), self::$on['on_http'] ? self::TAKES_HTTP : 0), PHP_VERSION);

        while (null !== $call = Wire::receive()) {
            [$type, $head, $body] = $call;
            unset($call); // the script has the message alone, and may let go of it
            Wire::$doing = 'a request';
            Userspace::$guid = Wire::$id;
            Userspace::$token = substr($head, 1, 16);
            Userspace::$client_port = (ord($head[17]) << 8) | ord($head[18]);
            Userspace::$client_ip = substr($head, 19);
            $flags = ord($head[0]);
            if ($type === Wire::HTTP) {
                Exchange::run(self::$on['on_start'], self::$on['on_http'], $flags, $body);
            } else {
                Userspace::$request = $body;
                unset($body);
                self::answer($flags);
            }
            self::putBackHandlers();
            Wire::done();
        }
        self::settleOutput();
        Wire::$over = true;
        exit(0);
    }

    /** @return array<string, ?callable> */
    private static function callables(mixed $userspace): array
    {
        if (!is_array($userspace)) {
            throw new \UnexpectedValueException('the script has to set $ARCANGELO_USERSPACE to an array of callables: ' . implode(', ', self::CALLBACKS));
        }
        $found = [];
        foreach (self::CALLBACKS as $name) {
            $found[$name] = $userspace[$name] ?? null;
            if ($found[$name] !== null && !is_callable($found[$name])) {
                throw new \UnexpectedValueException("\$ARCANGELO_USERSPACE['$name'] can't be called");
            }
        }
        if (!$found['on_handle'] && !$found['on_http']) {
            throw new \UnexpectedValueException("\$ARCANGELO_USERSPACE['on_handle'] is missing");
        }
        return $found;
    }

    /** Answers a raw message. */
    private static function answer(int $flags): void
    {
        $answer = $error = null;
        try {
            $last = ($flags & Wire::MORE) === 0;
            while (!$last) {
                Userspace::$request .= Wire::part($last);
            }
            if (self::$on['on_start']) {
                self::$on['on_start']();
            }
            $answer = self::last((self::$on['on_handle'] ?? throw new \LogicException('the script has no on_handle'))());
        } catch (\Throwable $e) {
            $error = (string) $e;
        }
        self::stop();
        self::settleOutput();
        Userspace::$request = '';
        if ($error !== null) {
            Wire::send(Wire::ERROR, Wire::GOES_ON . Wire::memory(), $error);
            return;
        }
        if (strlen($answer) > Wire::COPY_LIMIT) { // it goes first, so that it isn't counted
            Wire::send(Wire::PART, '', $answer);
            $answer = '';
        }
        Wire::send(Wire::END, Wire::memory(), $answer);
    }

    /** Calls on_stop, after which no session is left. */
    public static function stop(): void
    {
        try {
            if (self::$on['on_stop']) {
                self::$on['on_stop']();
            }
        } catch (\Throwable $e) {
            Wire::send(Wire::LOG, Wire::FAILURE, "on_stop: $e");
        }
        try {
            Session::close();
        } catch (\Throwable $e) {
            Wire::send(Wire::LOG, Wire::FAILURE, "the session: $e");
        }
    }

    /** Sends the parts of an answer that comes in parts, and returns what is left of it. */
    private static function last(mixed $answer): string
    {
        if ($answer instanceof \Traversable) {
            foreach ($answer as $part) {
                Wire::send(Wire::PART, Wire::FLUSH, (string) $part);
                if (!Wire::isWanted()) {
                    break;
                }
            }
            return '';
        }
        if (is_array($answer) || is_object($answer) && !$answer instanceof \Stringable || is_resource($answer)) {
            throw new \UnexpectedValueException('on_handle returned ' . get_debug_type($answer) . ', a string is due');
        }
        $answer = (string) $answer;
        if (strlen($answer) > Wire::LONGEST) {
            throw new \LengthException('on_handle returned over 4 GiB, which has to come in parts');
        }
        return $answer;
    }

    /** What a script prints goes to the log. */
    private static function onOutput(string $output): string
    {
        if (Wire::isStranger()) {
            return $output;
        }
        if ($output !== '') {
            Wire::send(Wire::LOG, Wire::PRINTED, $output);
        }
        return '';
    }

    /** Logs what was printed, and ends the buffers that a script left open. */
    public static function settleOutput(): void
    {
        while (ob_get_level() > 1 && @ob_end_flush()) {
        }
        if (ob_get_level() === 0) {
            ob_start(self::onOutput(...), 8192);
        } elseif (ob_get_length() > 0) {
            ob_flush();
        }
    }

    public static function onError(int $level, string $message, string $file, int $line): bool
    {
        if ($level === E_USER_ERROR) {
            return false; // PHP ends the script, as it does without a handler
        }
        if (error_reporting() & $level) {
            Wire::send(Wire::LOG, Wire::WARNING, self::levelName($level) . ": $message in $file:$line");
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

    private static function peekErrorHandler(): ?callable
    {
        $handler = set_error_handler(null);
        restore_error_handler();
        return $handler;
    }

    private static function peekExceptionHandler(): ?callable
    {
        $handler = set_exception_handler(null);
        restore_exception_handler();
        return $handler;
    }

    /** Puts the handlers back that a request has set, or taken away. */
    private static function putBackHandlers(): void
    {
        while (self::$errorHandler !== $handler = self::peekErrorHandler()) {
            if ($handler === null) {
                set_error_handler(self::$errorHandler);
                break;
            }
            restore_error_handler();
        }
        while (self::$exceptionHandler !== $handler = self::peekExceptionHandler()) {
            if ($handler === null) {
                set_exception_handler(self::$exceptionHandler);
                break;
            }
            restore_exception_handler();
        }
    }

    /** Tells of a script that ended: by exit, by a fatal error, by exhausted memory. */
    private static function onShutdown(): void
    {
        self::$reserve = null;
        if (Wire::$doing === null || Wire::isStranger()) {
            Wire::$over = true;
            return;
        }
        $e = error_get_last();
        $fatal = E_ERROR | E_PARSE | E_CORE_ERROR | E_COMPILE_ERROR | E_USER_ERROR | E_RECOVERABLE_ERROR;
        if ($e !== null && $e['type'] & $fatal) {
            $why = "Fatal error: {$e['message']} in {$e['file']}:{$e['line']}";
        } elseif (Exchange::atExit()) {
            Wire::$over = true;
            return;
        } else {
            $why = 'the script called exit during ' . Wire::$doing;
        }
        self::settleOutput();
        Wire::$doing = null;
        Wire::send(Wire::ERROR, Wire::ENDS, $why);
        Wire::$over = true;
    }
}

<?php

declare(strict_types=1);

namespace arca;

use function ord;
use function strlen;
use function substr;

/**
 * The life of a worker: it loads the userspace script, receives calls, and responds
 * to each of them.
 *
 * @internal
 */
final class Worker
{
    /** A flag of READY: the script handles HTTP requests itself. */
    private const TAKES_HTTP = 0x01;

    private const CALLBACKS = ['on_init', 'on_start', 'on_handle', 'on_http', 'on_stop'];

    /** @var array<string, ?callable> the callbacks of the script */
    private static array $on = [];
    /** @var list<callable> what the call in flight wants to be called after its response */
    private static array $after = [];
    /** @var ?\Closure(): (\Closure(): ?string) keeps the application as on_init has left it, and returns what puts it back after a call */
    public static ?\Closure $keep = null;
    /** @var ?\Closure(): ?string puts the application back, and returns what can't be. If it throws, the worker ends. */
    private static ?\Closure $reset = null;
    /** What of the application can't be put back, so that the worker has to be replaced. */
    private static ?string $stays = null;
    /** Whether exceptions and dumped values are shown in the browser. mkd sets it. */
    public static bool $dev = false;
    /** Whether each request is searched for what it leaves behind. mkd sets it. */
    public static bool $detectsLeaks = false;
    /** Whether the response of the call in flight is complete. */
    private static bool $responded = false;
    /** Freed when memory is exhausted, so that the error can be reported. */
    private static ?string $reserve = null;

    public static function start(string $script): void
    {
        Wire::open();
        self::$reserve = str_repeat('.', 65536);
        $missing = Requirements::missing();
        if ($missing !== null) {
            Wire::send(Wire::ERROR, Wire::ENDS, $missing);
            exit(1);
        }
        if (function_exists('cli_set_process_title')) {
            @cli_set_process_title("mkd worker $script");
        }
        ini_set('display_errors', '0');
        if (@file_get_contents($script, false, null, 0, 3) === "\u{FEFF}") {
            Wire::send(Wire::LOG, Wire::WARNING, "Warning: $script begins with a byte order mark, which PHP takes for output: save the file without it");
        }
        Session::prepare();
        set_error_handler(self::onError(...));
        register_shutdown_function(self::onShutdown(...));
        Output::open();
    }

    /** Ends a worker whose script couldn't be loaded. */
    public static function fail(\Throwable $e): never
    {
        Wire::$doing = null;
        Wire::send(Wire::ERROR, Wire::ENDS, self::$dev ? Dev::describe($e) : (string) $e);
        exit(1);
    }

    /** Handles calls until mkd closes descriptor 3. */
    public static function run(mixed $userspace): never
    {
        $wrong = self::wrong($userspace);
        if ($wrong !== null) {
            Wire::$doing = null;
            Wire::send(Wire::ERROR, Wire::ENDS, $wrong);
            exit(1);
        }
        foreach (self::CALLBACKS as $name) {
            self::$on[$name] = $userspace[$name] ?? null;
        }
        try {
            Wire::$doing = 'on_init';
            if (self::$on['on_init']) {
                self::$on['on_init']();
            }
            self::$reset = self::$keep ? (self::$keep)() : null;
        } catch (\Throwable $e) {
            self::fail($e);
        }
        Output::toLog();
        Globals::keep($GLOBALS['argv'][1]);
        Session::keep();
        State::keep();
        if (self::$detectsLeaks) {
            Leaks::keep();
        }
        Wire::$doing = null;
        Wire::send(Wire::READY, pack('NC', getmypid(), self::$on['on_http'] ? self::TAKES_HTTP : 0) . Form::parts(), PHP_VERSION);

        while (null !== $call = Wire::receive()) {
            [$type, $id, $head, $body] = $call;
            unset($call); // only the script holds the message, and can free it
            Wire::$doing = 'a request';
            Userspace::$guid = $id;
            Userspace::$token = substr($head, 1, 16);
            Userspace::$client_port = (ord($head[17]) << 8) | ord($head[18]);
            Userspace::$client_ip = substr($head, 19);
            $flags = ord($head[0]);
            State::begin();
            if ($type === Wire::HTTP) {
                HttpCall::run(self::$on['on_start'], self::$on['on_http'], $flags, $body);
            } else {
                Userspace::$request = $body;
                unset($body);
                RawCall::run(self::$on['on_start'], self::$on['on_handle'], $flags);
            }
            State::putBack();
        }
        Output::toLog();
        Wire::$over = true;
        exit(0);
    }

    /** Returns what is wrong with what the script has set; null: nothing. It warns of what is merely odd. */
    private static function wrong(mixed $userspace): ?string
    {
        $known = implode(', ', self::CALLBACKS);
        if (!is_array($userspace)) {
            $is = $userspace === null ? 'not set' : get_debug_type($userspace);
            return "the script has to set the global \$ARCANGELO_USERSPACE to an array of callables ($known); it is $is";
        }
        foreach ($userspace as $name => $callback) {
            if (!in_array($name, self::CALLBACKS, true)) {
                Wire::send(Wire::LOG, Wire::WARNING, "Warning: \$ARCANGELO_USERSPACE['$name'] is never called; what is called: $known");
                continue;
            }
            if ($callback !== null && !is_callable($callback)) {
                return "\$ARCANGELO_USERSPACE['$name'] can't be called: it is " . (is_string($callback) ? "'$callback'" : get_debug_type($callback));
            }
        }
        if (!isset($userspace['on_handle']) && !isset($userspace['on_http'])) {
            return '$ARCANGELO_USERSPACE has neither on_http nor on_handle';
        }
        return null;
    }

    /** Calls $work after the response, before on_stop. */
    public static function after(callable $work): void
    {
        self::$after[] = $work;
    }

    /** Whether the response of the call in flight is complete. */
    public static function hasResponded(): bool
    {
        return self::$responded;
    }

    /**
     * Completes the response with its rest, after the frame $before, or with an error.
     * The worker works on until complete() is called. It frees $rest.
     */
    public static function respond(?string $error, string &$rest, string $before): void
    {
        if ($error !== null) {
            Wire::send(Wire::ERROR, Wire::WORKS, $error);
        } else {
            Wire::send(Wire::END, Wire::RESPONDED, $rest, $before);
        }
        $rest = '';
        self::$responded = true;
        Wire::$doing = 'its work after the response';
    }

    /**
     * Ends a call: the rest of the response, on_stop and what else comes after the
     * response. Then what belongs to the call is cleared. The session is closed already.
     */
    public static function complete(?string $error, string &$rest, string $before): void
    {
        if (self::$responded && $error !== null) {
            Wire::send(Wire::LOG, Wire::FAILURE, "after the response: $error");
        }
        if (self::$after || self::$on['on_stop'] || self::$reset) {
            if (!self::$responded) {
                self::respond($error, $rest, $before);
            }
            self::stop();
            if (self::$reset) {
                self::$stays = (self::$reset)();
            }
            Output::toLog();
        }
        Userspace::$request = '';
        Globals::clear();
        if (self::$detectsLeaks) {
            Leaks::check();
        }
        self::$responded ? self::end(null, $rest) : self::end($error, $rest, $before);
        self::$responded = false;
    }

    /** Calls what comes after the response, and closes the session. */
    private static function stop(): void
    {
        $after = self::$after;
        self::$after = [];
        if (self::$on['on_stop']) {
            $after['on_stop'] = self::$on['on_stop'];
        }
        $after['the session'] = Session::close(...);
        foreach ($after as $name => $work) {
            try {
                $work();
            } catch (\Throwable $e) {
                Wire::send(Wire::LOG, Wire::FAILURE, (is_string($name) ? $name : 'after the response') . ": $e");
            }
        }
    }

    /**
     * Ends a call with the rest of the response, after the frame $before, or with an
     * error. It frees $rest. If something can't be put back for the next request, the
     * worker ends.
     */
    private static function end(?string $error, string &$rest, string $before = ''): void
    {
        $stays = State::disarm() ?? self::$stays;
        if ($stays !== null) {
            Wire::send(Wire::LOG, Wire::WARNING, "Warning: $stays: the worker is replaced");
        }
        if ($error !== null) {
            Wire::send(Wire::ERROR, ($stays === null ? Wire::GOES_ON : Wire::ENDS) . Wire::memory(), $error);
        } else {
            if (strlen($rest) > Wire::COPY_LIMIT) { // sent before the memory is counted
                Wire::send(Wire::PART, '', $rest, $before);
                $rest = $before = '';
            }
            Wire::send(Wire::END, Wire::memory() . ($stays === null ? '' : Wire::LEAVES), $rest, $before);
        }
        Wire::done();
        if ($stays !== null) {
            exit(0);
        }
    }

    public static function onError(int $level, string $message, string $file, int $line): bool
    {
        if ($level === E_USER_ERROR) {
            return false; // PHP ends the script, as it does without a handler
        }
        if ($level === E_NOTICE && Output::isOurs($message)) {
            return true;
        }
        if (!(error_reporting() & $level)) {
            return false; // PHP logs nothing either, and keeps it for error_get_last
        }
        Wire::send(Wire::LOG, Wire::WARNING, self::levelName($level) . ": $message in $file:$line");
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

    /** Reports that the script ended the worker: by exit, by a fatal error, by exhausted memory. */
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
        } elseif (self::$responded) {
            Output::toLog();
            Wire::send(Wire::LOG, Wire::WARNING, 'the script called exit after its response: the worker is replaced');
            Wire::send(Wire::END, Wire::memory() . Wire::LEAVES, '');
            Wire::$over = true;
            return;
        } elseif (HttpCall::atExit()) {
            Wire::$over = true;
            return;
        } else {
            $why = 'the script called exit during ' . Wire::$doing;
        }
        Output::toLog();
        Wire::$doing = null;
        Wire::send(Wire::ERROR, Wire::ENDS, $why);
        Wire::$over = true;
    }
}

<?php

declare(strict_types=1);

namespace arca;

use function array_pop;
use function clearstatcache;
use function date_default_timezone_get;
use function error_clear_last;
use function function_exists;
use function getcwd;
use function getenv;
use function http_response_code;
use function ini_get;
use function libxml_clear_errors;
use function libxml_get_external_entity_loader;
use function libxml_use_internal_errors;
use function memory_reset_peak_usage;
use function mt_rand;
use function pcntl_alarm;
use function pcntl_async_signals;
use function pcntl_signal_get_handler;
use function pcntl_sigprocmask;
use function restore_error_handler;
use function restore_exception_handler;
use function set_error_handler;
use function set_exception_handler;
use function setlocale;
use function stream_context_get_default;
use function stream_context_get_params;
use function stream_get_wrappers;
use function strtok;
use function textdomain;
use function umask;

/**
 * Puts back what a request has changed of the process, so that the next request finds
 * it as on_init has left it. docs/php.md lists this, and what stays. What can only be
 * changed by functions that php.ini disables isn't looked at.
 *
 * @internal
 */
final class State
{
    /** The last signal whose handler is put back: those of real time aren't. */
    private const SIGNALS = 31;
    private const LOCALES = [LC_CTYPE, LC_NUMERIC, LC_TIME, LC_COLLATE, LC_MONETARY, LC_MESSAGES];
    /** How many numbers of the random generator are drawn in advance: one for each request that doesn't use it. */
    private const NUMBERS = 256;

    /** @var array<string, string> settings that a script can change, but for those of $switches */
    private static array $settings = [];
    /** @var array<array-key, list<string>> settings that a script can change, by a value that most of them have: a value is read once for all */
    private static array $switches = ['' => [], '0' => [], '1' => []];
    /** @var list<string> those of them that have no value */
    private static array $unset = [];
    private static string $timeLimit = '0';
    private static string $openBasedir = '';
    /** @var ?array<string, string> null: it can't be changed */
    private static ?array $environment = null;
    private static string $locale = '';
    /** @var array<int, string> by category */
    private static array $locales = [];
    private static string $timezone = '';
    private static ?int $umask = null;
    private static string $folder = '';
    /** @var array<string, mixed> parameters and options of the default stream context */
    private static array $context = [];
    /** @var list<string> */
    private static array $wrappers = [];
    /** @var callable|null */
    private static $errorHandler = null;
    /** @var callable|null */
    private static $exceptionHandler = null;
    private static ?string $domain = null;

    private static bool $hasLibxml = false;
    private static bool $libxmlErrors = false;
    /** @var callable|null */
    private static $libxmlLoader = null;

    /** @var list<int> what the random generator returns next, from the last to the first, if no request uses or seeds it */
    private static array $numbers = [];

    private static bool $hasAlarms = false;
    private static bool $hasSignals = false;
    private static bool $asyncSignals = false;
    /** @var list<int> signals whose handler is PHP's own */
    private static array $unhandled = [];
    /** @var array<int, mixed> handlers of the others, by number */
    private static array $handlers = [];
    /** @var list<int> */
    private static array $blocked = [];

    /** Keeps what each request begins with. */
    public static function keep(): void
    {
        foreach (ini_get_all() as $name => $setting) {
            if ($setting['access'] & INI_USER && $name !== 'max_execution_time') {
                $value = (string) $setting['local_value'];
                if (isset(self::$switches[$value])) {
                    self::$switches[$value][] = $name;
                } else {
                    self::$settings[$name] = $value;
                }
                if ($setting['local_value'] === null) {
                    self::$unset[] = $name;
                }
            }
        }
        self::$timeLimit = (string) ini_get('max_execution_time');
        self::$openBasedir = (string) ini_get('open_basedir');
        self::$environment = function_exists('putenv') ? getenv() : null;
        self::$locale = (string) setlocale(LC_ALL, '0');
        foreach (self::LOCALES as $category) {
            self::$locales[$category] = (string) setlocale($category, '0');
        }
        self::$timezone = date_default_timezone_get();
        self::$umask = function_exists('umask') ? umask() : null;
        self::$folder = (string) getcwd();
        self::$context = stream_context_get_params(stream_context_get_default());
        self::$wrappers = stream_get_wrappers();
        self::$errorHandler = self::errorHandler();
        self::$exceptionHandler = self::exceptionHandler();
        self::$domain = function_exists('textdomain') ? textdomain(null) : null;
        self::keepLibxml();
        Mbstring::keep();
        self::keepSignals();
        self::seed();
    }

    private static function keepLibxml(): void
    {
        self::$hasLibxml = extension_loaded('libxml');
        if (self::$hasLibxml) {
            self::$libxmlErrors = libxml_use_internal_errors();
            self::$libxmlLoader = function_exists('libxml_get_external_entity_loader') ? libxml_get_external_entity_loader() : null;
        }
    }

    private static function keepSignals(): void
    {
        self::$hasAlarms = function_exists('pcntl_alarm');
        $functions = ['pcntl_signal', 'pcntl_signal_get_handler', 'pcntl_async_signals', 'pcntl_sigprocmask'];
        self::$hasSignals = array_filter($functions, function_exists(...)) === $functions;
        if (self::$hasSignals) {
            self::$asyncSignals = pcntl_async_signals();
            for ($signal = 1; $signal <= self::SIGNALS; $signal++) {
                $handler = pcntl_signal_get_handler($signal);
                if ($handler === SIG_DFL) {
                    self::$unhandled[] = $signal;
                } else {
                    self::$handlers[$signal] = $handler;
                }
            }
            self::$blocked = self::blocked();
        }
    }

    /** Begins a request. Its time limit starts. */
    public static function begin(): void
    {
        http_response_code(200);
        clearstatcache(); // files may have changed meanwhile

        if (function_exists('memory_reset_peak_usage')) {
            memory_reset_peak_usage();
        }
        if (self::$timeLimit !== '0') {
            ini_set('max_execution_time', self::$timeLimit);
        }
    }

    /**
     * Puts back what could end the worker between requests. It runs before the response
     * is complete. It returns what can't be put back, so that the worker has to be
     * replaced; null: nothing.
     */
    public static function disarm(): ?string
    {
        self::putBackHandlers(); // those of the script could throw, or call exit
        if (ini_get('max_execution_time') !== self::$timeLimit) {
            ini_set('max_execution_time', self::$timeLimit);
        }
        if (self::$hasAlarms && (self::$handlers[SIGALRM] ?? SIG_DFL) === SIG_DFL) { // with a handler of the script alarms are its own
            pcntl_alarm(0);
        }
        if (self::$hasSignals) {
            self::putBackSignals();
        }
        return match (true) {
            !Output::settle() => 'the request has started an output buffer that nobody can end',
            !Output::isWhole() => 'an exception in the callback of an output buffer has sent what was printed to the log',
            stream_context_get_params(stream_context_get_default()) !== self::$context => 'the request has changed the default stream context',
            ini_get('open_basedir') !== self::$openBasedir => 'the request has changed open_basedir',
            getcwd() !== self::$folder && !@chdir(self::$folder) => 'the working directory ' . self::$folder . ' is gone',
            default => null,
        };
    }

    private static function putBackSignals(): void
    {
        foreach (self::$unhandled as $signal) {
            if (pcntl_signal_get_handler($signal) !== SIG_DFL) {
                pcntl_signal($signal, SIG_DFL);
            }
        }
        foreach (self::$handlers as $signal => $handler) {
            if (pcntl_signal_get_handler($signal) !== $handler) {
                pcntl_signal($signal, $handler);
            }
        }
        if (self::blocked() !== self::$blocked) {
            pcntl_sigprocmask(SIG_SETMASK, self::$blocked);
        }
        if (pcntl_async_signals() !== self::$asyncSignals) {
            pcntl_async_signals(self::$asyncSignals);
        }
    }

    /** @return list<int> the signals that are blocked */
    private static function blocked(): array
    {
        pcntl_sigprocmask(SIG_UNBLOCK, [SIGKILL], $blocked); // never blocked; PHP 8.4 wants a signal
        return $blocked;
    }

    /** Puts back the rest. It runs after the response is complete, and takes some ten microseconds that no client waits for. */
    public static function putBack(): void
    {
        foreach (self::$switches as $value => $names) {
            $value = (string) $value;
            foreach ($names as $name) {
                if (ini_get($name) !== $value) {
                    self::putBackSetting($name, $value);
                }
            }
        }
        foreach (self::$settings as $name => $value) {
            if (ini_get($name) !== $value) {
                self::putBackSetting($name, $value);
            }
        }
        if (self::$environment !== null && getenv() !== self::$environment) {
            self::putBackEnvironment();
        }
        if (setlocale(LC_ALL, '0') !== self::$locale && setlocale(LC_ALL, self::$locale) === false) { // too long for PHP
            foreach (self::$locales as $category => $locale) {
                setlocale($category, $locale);
            }
        }
        if (date_default_timezone_get() !== self::$timezone) {
            date_default_timezone_set(self::$timezone);
        }
        if (self::$umask !== null && umask() !== self::$umask) {
            umask(self::$umask);
        }
        Mbstring::putBack();
        if (self::$hasLibxml) {
            self::putBackLibxml();
        }
        if (self::$domain !== null && textdomain(null) !== self::$domain) {
            textdomain(self::$domain);
        }
        if (stream_get_wrappers() !== self::$wrappers) {
            foreach (array_diff(self::$wrappers, stream_get_wrappers()) as $wrapper) {
                @stream_wrapper_restore($wrapper);
            }
        }
        if (mt_rand() !== array_pop(self::$numbers)) {
            self::seed();
        }
        strtok('', ' ');
        error_clear_last();
    }

    /**
     * Gives the random generator a new random seed, and draws its next numbers. To compare
     * one after each request costs less than to seed it each time.
     */
    private static function seed(): void
    {
        $seed = random_int(0, 0xffffffff);
        mt_srand($seed);
        $numbers = [];
        for ($i = 0; $i < self::NUMBERS; $i++) {
            $numbers[] = mt_rand();
        }
        self::$numbers = array_reverse($numbers);
        mt_srand($seed);
    }

    private static function putBackSetting(string $name, string $value): void
    {
        in_array($name, self::$unset, true) && function_exists('ini_restore') ? ini_restore($name) : @ini_set($name, $value);
    }

    private static function putBackEnvironment(): void
    {
        $now = getenv();
        foreach (array_diff_key($now, self::$environment) as $name => $value) {
            putenv((string) $name);
        }
        foreach (self::$environment as $name => $value) {
            if (($now[$name] ?? null) !== $value) {
                putenv("$name=$value");
            }
        }
        self::$environment = getenv(); // in its new order
    }

    private static function putBackLibxml(): void
    {
        libxml_clear_errors();
        libxml_use_internal_errors(self::$libxmlErrors);
        if (function_exists('libxml_get_external_entity_loader') && libxml_get_external_entity_loader() !== self::$libxmlLoader) {
            libxml_set_external_entity_loader(self::$libxmlLoader);
        }
    }

    private static function putBackHandlers(): void
    {
        while (self::$errorHandler !== $handler = self::errorHandler()) {
            if ($handler === null) {
                set_error_handler(self::$errorHandler);
                break;
            }
            restore_error_handler();
        }
        while (self::$exceptionHandler !== $handler = self::exceptionHandler()) {
            if ($handler === null) {
                set_exception_handler(self::$exceptionHandler);
                break;
            }
            restore_exception_handler();
        }
    }

    private static function errorHandler(): ?callable
    {
        $handler = set_error_handler(null);
        restore_error_handler();
        return $handler;
    }

    private static function exceptionHandler(): ?callable
    {
        $handler = set_exception_handler(null);
        restore_exception_handler();
        return $handler;
    }
}

<?php

declare(strict_types=1);

namespace arca;

/**
 * Finds what a request has left behind: it compares the worker's state with that after
 * the request before. It runs only with detect_leaks.
 *
 * @internal
 */
final class Leaks
{
    /** How deep arrays and objects are looked into, and how many values are compared. */
    private const DEPTH = 8;
    private const MOST = 50_000;
    /** Elements of an array that are compared. */
    private const ELEMENTS = 200;
    /** Bytes of memory that a request may keep. */
    private const MEMORY = 262_144;
    /** Requests in which a worker still loads code and fills caches. */
    private const WARM_UP = 3;
    /** What stays of process(); the rest is put back. */
    private const STAYS = ['autoloaders', 'stream wrappers', 'stream filters'];
    private const OWN = ['GLOBALS', '_GET', '_POST', '_COOKIE', '_FILES', '_SERVER', '_ENV', '_REQUEST', '_SESSION', 'argv', 'argc'];

    /** @var array<string, string> descriptions of values by their path */
    private static array $before = [];
    /** @var array<string, string> what belongs to the process */
    private static array $process = [];
    /** @var array<int, string> open streams by id */
    private static array $streams = [];
    private static int $memory = 0;
    private static int $requests = 0;
    /** Output buffers that a handler has left open. */
    private static int $buffers = 0;

    /** Classes and functions that were looked at already. */
    private static int $classes = 0;
    private static int $functions = 0;
    /** @var list<\ReflectionProperty> static properties */
    private static array $properties = [];
    /** @var array<string, \ReflectionFunctionAbstract> functions that have static variables */
    private static array $withStatics = [];

    /** @var array<string, true> names of classes and functions that the last request has loaded */
    private static array $loaded = [];
    /** @var array<string, string> what values() has found so far */
    private static array $now = [];
    /** @var array<int, true> objects that were looked into */
    private static array $seen = [];

    /** Keeps the state that the first request begins with. */
    public static function keep(): void
    {
        self::$before = self::values();
        self::$process = self::process();
        self::$streams = self::streams();
        gc_collect_cycles();
        self::$memory = memory_get_usage();
    }

    /** Counts output buffers that a handler has left open. */
    public static function buffers(int $open): void
    {
        self::$buffers = $open;
    }

    /** Reports what a request has left behind. It runs before its state is put back. */
    public static function check(): void
    {
        $found = [];
        if (self::$buffers > 0) {
            $found['output buffers'] = self::$buffers . ' left open; put back';
            self::$buffers = 0;
        }
        $process = self::process();
        foreach ($process + self::$process as $name => $value) {
            $value = $process[$name] ?? 'nothing';
            $was = self::$process[$name] ?? 'nothing';
            if ($value !== $was) { // a variable of the environment may be a secret
                $found[$name] = (str_starts_with($name, 'environment') ? 'changed' : "$value, was $was") . (in_array($name, self::STAYS, true) ? '' : '; put back');
            }
        }
        foreach (self::STAYS as $name) {
            self::$process[$name] = $process[$name];
        }
        unset($process);
        $streams = self::streams();
        foreach (array_diff_key($streams, self::$streams) as $stream) {
            $found["stream $stream"] = 'left open';
        }
        self::$streams = $streams;
        $now = self::values();
        $found += self::differences($now);
        self::$before = $now;
        unset($now);
        gc_collect_cycles();
        $more = memory_get_usage() - self::$memory;
        if (++self::$requests > self::WARM_UP && $more > self::MEMORY) {
            $found['memory'] = intdiv($more, 1024) . ' KiB more than before';
        }
        $report = json_encode(['memory' => $more, 'found' => (object) $found], JSON_INVALID_UTF8_SUBSTITUTE | JSON_PARTIAL_OUTPUT_ON_ERROR);
        Wire::send(Wire::LOG, Wire::LEAK, (string) $report);
        unset($found, $streams, $report);
        self::$memory = memory_get_usage();
    }

    /** @return array<string, string> what differs from the state before, the outermost value of each */
    private static function differences(array $now): array
    {
        $found = [];
        $within = null;
        foreach ($now as $path => $value) {
            if ($within !== null && str_starts_with($path, $within)) {
                continue; // its container differs
            }
            $was = self::$before[$path] ?? null;
            if ($was === $value || $was === null && self::isNew($path)) {
                continue;
            }
            $found[$path] = $was === null ? "$value, is new" : "$value, was $was";
            $within = $path . (str_starts_with($value, 'array') ? '[' : '->');
        }
        foreach (array_diff_key(self::$before, $now) as $path => $was) {
            if ($path[0] === '$' && !strpbrk($path, '[>')) {
                $found[$path] = "is gone, was $was";
            }
        }
        return $found;
    }

    /** Whether a path belongs to code that the request has loaded: there is nothing to compare it with. */
    private static function isNew(string $path): bool
    {
        return isset(self::$loaded[substr($path, 0, strcspn($path, ':('))]);
    }

    /** @return array<string, string> */
    private static function values(): array
    {
        self::$now = self::$seen = self::$loaded = [];
        foreach ($GLOBALS as $name => $value) {
            if (!in_array($name, self::OWN, true)) {
                self::visit("\$$name", $value, self::DEPTH);
            }
        }
        self::reflect();
        foreach (self::$properties as $property) {
            if ($property->isInitialized()) {
                self::visit($property->class . '::$' . $property->name, $property->getValue(), self::DEPTH);
            }
        }
        foreach (self::$withStatics as $name => $function) {
            foreach ($function->getStaticVariables() as $variable => $value) {
                self::visit("$name() static \$$variable", $value, self::DEPTH);
            }
        }
        $now = self::$now;
        self::$now = self::$seen = [];
        return $now;
    }

    /** Finds the static properties and variables of code that was loaded meanwhile. */
    private static function reflect(): void
    {
        $classes = get_declared_classes();
        foreach (array_slice($classes, self::$classes) as $class) {
            $reflection = new \ReflectionClass($class);
            if ($reflection->isInternal() || str_starts_with($class, __NAMESPACE__ . '\\')) {
                continue;
            }
            self::$loaded[$class] = true;
            foreach ($reflection->getProperties(\ReflectionProperty::IS_STATIC) as $property) {
                if ($property->class === $class) {
                    self::$properties[] = $property;
                }
            }
            foreach ($reflection->getMethods() as $method) {
                if ($method->class === $class && $method->getStaticVariables() !== []) {
                    self::$withStatics["$class::{$method->name}"] = $method;
                }
            }
        }
        self::$classes = count($classes);
        $functions = get_defined_functions()['user'];
        foreach (array_slice($functions, self::$functions) as $name) {
            $function = new \ReflectionFunction($name);
            self::$loaded[$function->name] = true;
            if (!str_starts_with($name, 'arca\\') && $function->getStaticVariables() !== []) {
                self::$withStatics[$function->name] = $function;
            }
        }
        self::$functions = count($functions);
    }

    private static function visit(string $path, mixed $value, int $depth): void
    {
        if (count(self::$now) >= self::MOST) {
            return;
        }
        self::$now[$path] = self::describe($value);
        if ($depth === 0 || !is_array($value) && !is_object($value)) {
            return;
        }
        if (is_array($value)) {
            foreach (array_slice($value, 0, self::ELEMENTS, true) as $key => $element) {
                self::visit($path . '[' . (is_int($key) ? $key : "'" . substr($key, 0, 60) . "'") . ']', $element, $depth - 1);
            }
            return;
        }
        $id = spl_object_id($value);
        if (isset(self::$seen[$id]) || str_starts_with($value::class, __NAMESPACE__ . '\\')) {
            return;
        }
        self::$seen[$id] = true;
        if ($value instanceof \Closure) {
            $function = new \ReflectionFunction($value);
            foreach ($function->getStaticVariables() as $name => $element) {
                self::visit("$path->\$$name", $element, $depth - 1);
            }
            if ($function->getClosureThis() !== null) {
                self::visit("$path->\$this", $function->getClosureThis(), $depth - 1);
            }
            return;
        }
        foreach ((array) $value as $name => $element) {
            $name = (string) $name;
            self::visit("$path->" . substr($name, (int) strrpos("\0$name", "\0")), $element, $depth - 1);
        }
    }

    private static function describe(mixed $value): string
    {
        return match (true) {
            is_array($value) => 'array of ' . count($value),
            $value instanceof \UnitEnum => $value::class . '::' . $value->name,
            $value instanceof \Closure => 'Closure',
            $value instanceof \SplObjectStorage, $value instanceof \ArrayObject, $value instanceof \WeakMap => $value::class . ' of ' . count($value),
            is_object($value) => $value::class . ' #' . spl_object_id($value),
            is_string($value) => strlen($value) . ' bytes ' . substr(md5($value), 0, 8), // it may be a secret
            is_resource($value) => get_resource_type($value) . ' #' . get_resource_id($value),
            default => var_export($value, true),
        };
    }

    /** @return array<string, string> what belongs to the process, by name */
    private static function process(): array
    {
        $all = [];
        foreach (ini_get_all(null, false) ?: [] as $name => $value) {
            if (!str_starts_with($name, 'session.')) {
                $all["ini $name"] = var_export($value, true);
            }
        }
        foreach (getenv() as $name => $value) {
            $all["environment $name"] = md5($value);
        }
        $handler = set_error_handler(null);
        restore_error_handler();
        $all['error handler'] = self::callable($handler);
        $handler = set_exception_handler(null);
        restore_exception_handler();
        $all['exception handler'] = self::callable($handler);
        $all['locale'] = (string) setlocale(LC_ALL, '0');
        $all['timezone'] = date_default_timezone_get();
        $all['working directory'] = (string) getcwd();
        if (function_exists('umask')) {
            $all['umask'] = sprintf('%03o', umask());
        }
        $all['autoloaders'] = (string) count(spl_autoload_functions());
        $all['stream wrappers'] = implode(' ', stream_get_wrappers());
        $all['stream filters'] = implode(' ', stream_get_filters());
        return $all;
    }

    private static function callable(mixed $handler): string
    {
        return match (true) {
            $handler === null => 'none',
            $handler instanceof \Closure => 'Closure #' . spl_object_id($handler),
            is_array($handler) => (is_object($handler[0]) ? $handler[0]::class : $handler[0]) . "::$handler[1]",
            default => get_debug_type($handler) . (is_string($handler) ? " $handler" : ''),
        };
    }

    /** @return array<int, string> */
    private static function streams(): array
    {
        $streams = [];
        foreach (get_resources('stream') as $id => $stream) {
            $meta = stream_get_meta_data($stream);
            $streams[$id] = ($meta['uri'] ?? $meta['stream_type']) . " ({$meta['mode']})";
        }
        return $streams;
    }
}

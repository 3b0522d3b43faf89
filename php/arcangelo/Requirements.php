<?php

declare(strict_types=1);

namespace arca;

/**
 * What a worker needs of PHP.
 *
 * @internal
 */
final class Requirements
{
    /**
     * Functions that a request may need and that php.ini could disable. One that is
     * used while the worker starts needs no entry: PHP's own error names it.
     */
    private const FUNCTIONS = [
        'chdir', 'chmod', 'clearstatcache', 'date_default_timezone_set', 'error_clear_last', 'error_get_last', 'feof', 'file_get_contents', 'fread',
        'fseek', 'fstat', 'ftell', 'gc_collect_cycles', 'gc_mem_caches', 'gmdate', 'http_response_code', 'memory_get_usage', 'microtime', 'mt_srand',
        'ob_end_flush', 'parse_str', 'rename', 'restore_error_handler', 'restore_exception_handler', 'rewind', 'stream_context_get_default',
        'stream_get_contents', 'stream_get_meta_data', 'stream_select', 'stream_wrapper_restore', 'strtok', 'sys_get_temp_dir', 'tempnam', 'time', 'unlink',
    ];

    /** Returns what is missing; null: nothing. */
    public static function missing(): ?string
    {
        if (PHP_VERSION_ID < 80100) {
            return 'PHP ' . PHP_VERSION . ' is too old for workers, which need 8.1: set php to another binary';
        }
        $missing = array_filter(self::FUNCTIONS, static fn (string $name): bool => !function_exists($name));
        if ($missing === []) {
            return null;
        }
        return 'workers need functions that disable_functions in php.ini, or in ini of the backend, takes away: ' . implode(', ', $missing);
    }
}

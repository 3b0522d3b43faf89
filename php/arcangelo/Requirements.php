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
    /** Functions that php.ini could disable. */
    private const FUNCTIONS = [
        'chdir', 'chmod', 'clearstatcache', 'date_default_timezone_get', 'date_default_timezone_set', 'error_clear_last', 'error_get_last', 'feof',
        'file_get_contents', 'fread', 'fseek', 'fstat', 'ftell', 'gc_collect_cycles', 'gc_mem_caches', 'getcwd', 'getenv', 'getmypid', 'gmdate',
        'http_response_code', 'ini_get', 'ini_get_all', 'ini_set', 'memory_get_usage', 'microtime', 'mt_srand', 'ob_end_flush', 'ob_get_status',
        'ob_list_handlers', 'ob_start', 'parse_str', 'register_shutdown_function', 'rename', 'restore_error_handler', 'restore_exception_handler',
        'rewind', 'set_error_handler', 'set_exception_handler', 'setlocale', 'stream_context_get_default', 'stream_context_get_params',
        'stream_get_contents', 'stream_get_meta_data', 'stream_get_wrappers', 'stream_select', 'stream_wrapper_restore', 'strtok', 'sys_get_temp_dir',
        'tempnam', 'time', 'unlink',
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

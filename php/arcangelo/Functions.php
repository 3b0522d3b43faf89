<?php

declare(strict_types=1);

// Functions that PHP's command line lacks, or has without effect. mkd starts PHP
// with disable_functions, which makes room for those that PHP has.

if (!function_exists('flush')) {
    function flush(): void
    {
        arca\Output::flush();
    }
}

if (!function_exists('ob_get_level')) {
    function ob_get_level(): int
    {
        return arca\Output::level();
    }
}

if (!function_exists('connection_aborted')) {
    function connection_aborted(): int
    {
        return (int) arca\ResponseWriter::isAbandoned();
    }
}

if (!function_exists('connection_status')) {
    function connection_status(): int
    {
        return arca\ResponseWriter::isAbandoned() ? CONNECTION_ABORTED : CONNECTION_NORMAL;
    }
}

if (!function_exists('getallheaders')) {
    /** @return array<string, string> the header of the request that on_http handles */
    function getallheaders(): array
    {
        return arca\Globals::headers();
    }
}

if (!function_exists('apache_request_headers')) {
    /** @return array<string, string> the same as getallheaders */
    function apache_request_headers(): array
    {
        return arca\Globals::headers();
    }
}

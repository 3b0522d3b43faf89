<?php

declare(strict_types=1);

// Functions for development: they exist only with dev.

if (!function_exists('dump')) {
    /** Prints values into the response, for the browser. */
    function dump(mixed ...$values): mixed
    {
        arca\Dev::dump($values);
        return $values[0] ?? null;
    }
}

if (!function_exists('dd')) {
    /** Prints values, and ends the request. */
    function dd(mixed ...$values): never
    {
        arca\Dev::dump($values);
        throw new arca\DumpEnds();
    }
}

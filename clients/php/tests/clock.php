<?php

declare(strict_types=1);

namespace Megaki;

/** The clock of tests, which is set an hour ahead each time. */
function microtime(): float
{
    static $now = 1e9;
    return $now += 3600;
}

<?php

// Pages that are quick, and reports that are slow.

declare(strict_types=1);

use arca\Request;
use arca\Response;

$ARCANGELO_USERSPACE = [
    'on_http' => function (Request $r) {
        if ($r->path === '/reports/sales') {
            for ($end = microtime(true) + (float) ($r->query['seconds'] ?? 5); microtime(true) < $end;) {
                usleep(10_000); // a database that takes its time
            }
            return Response::text("the report, by worker " . getmypid() . "\n");
        }
        return Response::text("a page, by worker " . getmypid() . "\n");
    },
];

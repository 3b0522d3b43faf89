<?php
// Handlers that print: the path names the way. Each prints "one", waits until the
// client has it (a file named after go appears), prints "two", and waits again.

use arca\Request;
use arca\Response;

$wait = function (Request $r, string $what) {
    while (!file_exists("{$r->query['go']}.$what")) {
        usleep(1000);
    }
};

$ways = [
    'flush' => function () { yield 'one'; flush(); yield; yield 'two'; flush(); yield; yield 'three'; },
    'ob_flush' => function () { yield 'one'; ob_flush(); yield; yield 'two'; ob_flush(); yield; yield 'three'; },
    'own buffer' => function () { ob_start(); yield 'one'; ob_flush(); flush(); yield; yield 'two'; ob_flush(); flush(); yield; yield 'three'; },
    'own buffer with a filter' => function () { ob_start(fn (string $s) => strtolower($s)); yield 'ONE'; ob_flush(); flush(); yield; yield 'TWO'; ob_end_flush(); flush(); yield; yield 'three'; },
    'all buffers ended' => function () { while (ob_get_level()) { ob_end_flush(); } yield 'one'; flush(); yield; yield 'two'; flush(); yield; yield 'three'; },
    'all buffers cleaned' => function () { ob_start(); echo 'dropped'; while (ob_get_level()) { ob_end_clean(); } yield 'one'; flush(); yield; yield 'two'; flush(); yield; yield 'three'; },
    'ended until it fails' => function () { while (@ob_end_flush()) { } yield 'one'; flush(); yield; yield 'two'; flush(); yield; yield 'three'; },
    'ob_end_flush' => function () { yield 'one'; ob_end_flush(); yield; yield 'two'; ob_end_flush(); yield; yield 'three'; },
    'own buffers left open' => function () { yield 'one'; flush(); yield; ob_start(); yield 't'; ob_start(); yield 'wo'; ob_end_flush(); ob_end_flush(); flush(); yield; ob_start(); yield 'three'; },
    'discarded' => function () { yield 'dropped'; ob_clean(); yield 'one'; flush(); yield; yield 'dropped'; ob_end_clean(); yield 'two'; flush(); yield; yield 'three'; },
    'php://output' => function () { $out = fopen('php://output', 'w'); fwrite($out, 'one'); flush(); yield; fwrite($out, 'two'); flush(); yield; fwrite($out, 'three'); },
];

$run = function (Request $r, string $way) use ($ways, $wait) {
    $turns = ['one', 'two'];
    foreach ($ways[$way]() as $text) {
        if ($text === null) {
            $wait($r, array_shift($turns));
        } else {
            echo $text;
        }
    }
};

$ARCANGELO_USERSPACE = [
    'on_http' => function (Request $r) use ($run, $wait, $ways) {
        $way = $r->query['way'] ?? '';
        switch ($r->path) {
            case '/ways': return implode("\n", array_keys($ways));
            case '/nothing': $run($r, $way); return;
            case '/string': $run($r, $way); return ' and a string';
            case '/generator': $run($r, $way); return (function () { yield ' and'; echo ' printed'; flush(); yield ' parts'; })();
            case '/response': $run($r, $way); return new Response(' and a response', 404, ['X-Late' => '1']);
            case '/streamed': return Response::stream((function () use ($r, $run, $way) { $run($r, $way); while (ob_get_level()) { ob_end_flush(); } yield ' and parts'; })(), 'text/x-own');
            case '/exit': $run($r, $way); exit;
            case '/throw': $run($r, $way); throw new Exception('after it was flushed');
            case '/status': http_response_code(404); echo 'not'; flush(); http_response_code(500); echo ' found'; return;
            case '/large': for ($i = 0; $i < 100; $i++) { echo str_repeat('x', 100_000); } return;
            case '/order': ob_start(); echo '1'; $parts = (function () { echo '2'; yield '3'; echo '4'; yield '5'; echo '6'; })(); return new Response($parts, 201, ['X-One' => '1']);
            case '/orderfile': echo 'before the file: '; return Response::file(__DIR__ . '/part.php');
            case '/orderlength': echo 'printed'; return new Response((fn () => yield '0123456789')(), 200, ['Content-Length' => 10]);
            case '/empty': flush(); ob_flush(); return new Response('', 404);
            case '/headersthrow': echo str_repeat('x', 1000); return new Response('x', 200, ['X' => str_repeat('v', 70_000)]);
            case '/endless':
                try { while (true) { echo "tick\n"; flush(); } } finally { touch($r->query['go']); }
            case '/abort':
                ignore_user_abort(true);
                while (!connection_aborted()) { echo "tick\n"; flush(); }
                file_put_contents($r->query['go'], connection_status());
                return;
            case '/pid': return (string) getmypid();
            case '/fork':
                echo 'parent, ';
                if (($pid = pcntl_fork()) === 0) { echo "child\n"; flush(); exit; }
                pcntl_waitpid($pid, $status);
                return 'returned';
        }
        return new Response('no such thing', 404);
    },
    'on_handle' => function () { echo 'printed by on_handle'; flush(); ob_flush(); ob_start(); echo ', buffered'; return 'returned'; },
    'on_stop' => function () { echo 'printed by on_stop'; },
];

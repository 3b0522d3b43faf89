<?php
// Output buffers and errors: the same in a worker and under PHP-FPM. The query names the way.

$ways = [
    'level' => fn () => ob_get_level(),
    'levels' => function () { ob_start(); ob_start(); $l = ob_get_level(); ob_end_clean(); ob_end_clean(); return [$l, ob_get_level()]; },
    'nothing to end' => function () { echo 'a'; $r = @ob_end_flush(); echo 'b'; return $r; },
    'nothing to clean' => function () { $r = @ob_end_clean(); echo 'b'; return $r; },
    'flush' => function () { echo 'a'; @ob_flush(); flush(); echo 'b'; },
    'callback' => function () { ob_start(fn ($b, $p) => "[$p:$b]"); echo 'x'; ob_flush(); echo 'y'; ob_clean(); echo 'z'; ob_end_flush(); },
    'callback with a chunk size' => function () { ob_start(fn ($b, $p) => "[$p:$b]", 3); foreach (['ab', 'cd', 'e'] as $text) { echo $text; } ob_end_flush(); },
    'nested in a callback' => function () { ob_start(fn ($b) => strrev($b)); echo 'abc'; ob_start(); echo 'def'; ob_end_flush(); ob_end_flush(); return ob_get_level(); },
    'get clean' => function () { ob_start(); echo 'a'; $x = ob_get_clean(); echo strtoupper($x); return $x; },
    'get flush' => function () { ob_start(); echo 'a'; return ob_get_flush(); },
    'contents and length' => function () { ob_start(); echo 'abc'; $r = [ob_get_contents(), ob_get_length()]; ob_end_clean(); return $r; },
    'while there is a level' => function () { ob_start(); echo 'a'; ob_start(); echo 'b'; while (ob_get_level()) { ob_end_flush(); } echo 'c'; return ob_get_level(); },
    'while it works' => function () { ob_start(); echo 'a'; while (@ob_end_flush()) { } echo 'b'; return ob_get_level(); },
    'while it can be cleaned' => function () { ob_start(); echo 'a'; while (@ob_end_clean()) { } echo 'b'; return ob_get_level(); },
    'functions that print' => function () { print_r([1]); var_dump(1); printf('%03d', 7); print 'x'; vprintf('%s', ['y']); return print_r([2], true); },
    'files' => fn () => [readfile('data:,file'), fpassthru(fopen('data:,other', 'rb'))],
    'programs' => function () { passthru('printf hello'); return system('printf "a\nb"'); },
    'php://output' => function () { file_put_contents('php://output', 'a'); $out = fopen('php://output', 'wb'); fwrite($out, 'b'); echo 'c'; },
    'inline' => function () { ?>inline <?= 'x' ?> text<?php },
    'implicit flush' => function () { ob_implicit_flush(); echo 'a'; echo 'b'; },
    'destructor' => function () { new class { public function __destruct() { echo 'destructed'; } }; echo ', then more'; },
    'finally' => function () { try { try { echo 'a'; throw new Exception('b'); } finally { echo 'c'; } } catch (Exception $e) { echo $e->getMessage(); } },
    'connection' => fn () => [connection_status(), connection_aborted(), ignore_user_abort()],
    'the last error, suppressed' => function () { @file_get_contents('/nonexistent'); return error_get_last()['message'] ?? null; },
    'the last error of a script' => function () { @trigger_error('x', E_USER_DEPRECATED); return error_get_last()['type'] ?? null; },
    'no last error' => fn () => error_get_last(),
    'large' => function () { for ($i = 0; $i < 30; $i++) { echo str_repeat($i % 10, 20_000); } },
];

$run = function (string $way) use ($ways): string {
    return "\n=> " . json_encode($ways[$way]());
};

if (PHP_SAPI !== 'cli') {
    echo $run($_GET['way']);
    return;
}

$ARCANGELO_USERSPACE = [
    'on_http' => fn () => match ($_GET['way']) {
        'pid' => (string) getmypid(),
        'names' => implode("\n", array_keys($ways)),
        default => $run($_GET['way']),
    },
];

<?php
$ARCANGELO_USERSPACE = ['on_handle' => function () {
    [$what, $rest] = explode(' ', arca::$request, 2) + [1 => ''];
    return match ($what) {
        'repeat' => str_repeat('x', (int) $rest),
        'throw' => throw new Exception('thrown on purpose'),
        'exit' => exit,
        'sleep' => usleep(1000 * (int) $rest) ?? 'slept',
        'print' => print("$rest\n"),
        'pid' => (string) getmypid(),
        'token' => bin2hex(arca::$token),
        default => arca::$request,
    };
}];

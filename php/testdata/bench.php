<?php
// The least of work, for benchmarks.

$print = function () {
    for ($i = 0; $i < 1000; $i++) {
        echo 'x';
    }
};
$time = function (callable $what) {
    $begin = hrtime(true);
    for ($i = 0; $i < 100; $i++) {
        $what();
    }
    return (hrtime(true) - $begin) / 100;
};

$ARCANGELO_USERSPACE = [
    'on_handle' => fn () => arca::$request === 'put back' ? $time(arca\State::disarm(...)) . ' ' . $time(arca\State::putBack(...)) : 'hello',
    'on_http' => function (arca\Request $r) use ($print) {
        switch ($r->path) {
            case '/printed':
                return $print();
            case '/buffered':
                ob_start();
                return $print();
        }
        return 'hello';
    },
];

<?php

declare(strict_types=1);

namespace arca;

// mkd starts a worker with the files of this folder, one after the other, and the
// path of the userspace script. The script runs in the global scope.
Worker::start($argv[1]);
try {
    require $argv[1];
} catch (\Throwable $e) {
    Worker::fail($e);
}
Worker::run($ARCANGELO_USERSPACE ?? null);

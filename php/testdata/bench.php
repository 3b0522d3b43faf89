<?php
// The least of work, for benchmarks.

$ARCANGELO_USERSPACE = ['on_handle' => fn () => 'hello', 'on_http' => fn () => 'hello'];

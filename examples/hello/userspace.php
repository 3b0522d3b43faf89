<?php
// The smallest userspace script: answers every message with what it said.

$ARCANGELO_USERSPACE = [
    'on_handle' => function (): string {
        return "You said '" . arca::$request . "'";
    },
];

<?php
// The smallest userspace script: it responds to every message with its text.

$ARCANGELO_USERSPACE = [
    'on_handle' => function (): string {
        return "You said '" . arca::$request . "'";
    },
];

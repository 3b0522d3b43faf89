<?php

return [
    'default' => 'notes',
    'connections' => ['notes' => ['driver' => 'sqlite', 'database' => storage_path('notes.sqlite'), 'prefix' => '']],
];

<?php

return [
    'default' => 'file',
    'prefix' => 'notes',
    'stores' => [
        'file' => ['driver' => 'file', 'path' => storage_path('framework/cache')],
        'array' => ['driver' => 'array'],
    ],
];

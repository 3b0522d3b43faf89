<?php

// A script that is asked for by its name, and told more by the rest of the path.

require __DIR__ . '/../lib/page.php';

page('Article', '<p>' . htmlspecialchars($_SERVER['PATH_INFO'] ?? 'none') . ' in ' . htmlspecialchars(getenv('APP_ENV')) . '</p>');

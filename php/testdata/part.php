<?php return 'a part';

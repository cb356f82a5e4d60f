#!/bin/sh
# Runs workerd, and ends it when the process that started it is gone, even by kill -9. That process holds the
# write end of the named pipe; the read below returns when the last write end is closed.
(read -r _; kill -9 $$) <"$KABAR_LIFELINE" >/dev/null 2>&1 3>&- &
exec "$KABAR_WORKERD" "$@"

"""The local stack: the functions of template.yaml on this machine, with embedded AWS and no containers.

`python -m infra.local` (`__main__`) opens a `stack`, which starts the `servers` beside the functions (`moto_server`, the
SQL Server stand-in in `sqlserver/`), expands the `template` and its `intrinsics`, creates its `resources`, and opens a
`dispatcher`. That connects each `function` with what sets it off: `event_sources` and `async_invocations` (both by
`queue_polling`), `schedules`, the `http_api`, and `minio` notifications through the `local_api`. A function runs in
`worker` processes that talk to a `runtime_api` as on Lambda. `processes` and the `reaper` see to it that nothing outlives
the stack; `state_file` tells others where it is; `logs` and `ports` are what their names say.

What differs from AWS: IAM is not enforced, memory limits neither; event filters of queue sources are not applied; queues,
tables and objects last as long as the stack.
"""

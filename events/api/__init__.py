"""What the HTTP API takes and answers, one model each: functions name them in their handlers' signatures.

    base           what questions and answers have in common; what every refusal looks like
    connections    saved connections          database       questions to a source
    runs           the start of a run, the list of runs, one run
    plan           what a request would load now
    watermarks     watermarks and corrections files          what became of files
    schedules      when workflows are started        templates      workflows as files
    silver         columns, decisions, rules, quarantine
    dead_letters   messages that were given up

docs/schemas/openapi.json is made of them. Guarantees: a question with a field that is not known is refused; an answer may say
more than its model, never less.
"""

#!/usr/bin/env bash
# SpiffWorkflow 3.2.0 (BPMN). A workflow's data through BpmnWorkflowSerializer, which stores it until the workflow goes on.
# Guess: what the serializer has converters for (datetime, timedelta, UUID) comes back as it was, a plain mapping as well; the rest is
#   refused, as bytes and dates are.
# Behaviour: timedeltas lose what is below a second, sets and tuples become lists, integer keys texts, and a mapping of the user's that
#   has a key "typename" is taken for one of the serializer's: it becomes something else, or fails when it is read back.
# Seen: 1.5 s -> 1 s; {1} -> [1]; {1: 'a'} -> {'1': 'a'}; {'typename': 'vm', ...} -> TypeError; typename 'datetime' -> a datetime.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check spiffworkflow==3.2.0
"$work/bin/python" -W ignore - <<'PY'
import datetime

from lxml import etree
from SpiffWorkflow import TaskState
from SpiffWorkflow.bpmn.parser import BpmnParser
from SpiffWorkflow.bpmn.serializer import BpmnWorkflowSerializer
from SpiffWorkflow.bpmn.workflow import BpmnWorkflow

DIAGRAM = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" targetNamespace="t"><process id="p" isExecutable="true">
<startEvent id="s"/><manualTask id="m"/><endEvent id="e"/>
<sequenceFlow id="f" sourceRef="s" targetRef="m"/><sequenceFlow id="g" sourceRef="m" targetRef="e"/></process></definitions>"""


def there_and_back(value):
    parser, serializer = BpmnParser(), BpmnWorkflowSerializer()
    parser.add_bpmn_xml(etree.fromstring(DIAGRAM))
    workflow = BpmnWorkflow(parser.get_spec("p"))
    workflow.get_next_task(state=TaskState.READY).data["value"] = value
    workflow.do_engine_steps()
    stored = serializer.serialize_json(workflow)
    try:
        return serializer.deserialize_json(stored).get_next_task(state=TaskState.READY).data["value"]
    except TypeError as error:
        return type(error)


seen = []
for value in (
    datetime.timedelta(seconds=1.5),
    {1},
    (1, 2),
    {1: "a"},
    {"typename": "vm", "cpus": 2},
    {"typename": "datetime", "value": "2026-01-02"},
):
    seen.append(there_and_back(value))
    print(value, "->", repr(seen[-1]))
expected = [datetime.timedelta(seconds=1), [1], [1, 2], {"1": "a"}, TypeError, datetime.datetime(2026, 1, 2)]
assert seen == expected, "it comes back otherwise now"
PY

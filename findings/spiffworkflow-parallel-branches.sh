#!/usr/bin/env bash
# SpiffWorkflow 3.2.0 (BPMN). Two branches between parallel gateways, each with a script that changes what both have.
# Guess: the branches work on one set of data, as the variables of a process are in BPMN; or a conflict at the join is an error.
# Behaviour: each branch has a copy, and the join merges the copies: mappings by key, all else from the branch that arrives last. What the
#   other one appended to a list is lost, its value of a variable too, and what a branch has deleted is there again.
# Seen: l.append("left") and l.append("right"): ['right']; n + 1 in both: 1; keys of a mapping: both; deleted: there.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check spiffworkflow==3.2.0
"$work/bin/python" -W ignore - <<'PY'
from lxml import etree
from SpiffWorkflow import TaskState
from SpiffWorkflow.bpmn.parser import BpmnParser
from SpiffWorkflow.bpmn.workflow import BpmnWorkflow

script = """l.append("{0}")
d["{0}"] = True
n = n + 1"""
flows = [("s", "split"), ("split", "left"), ("split", "right"), ("left", "join"), ("right", "join"), ("join", "m"), ("m", "e")]
arrows = "".join(f'<sequenceFlow id="f{n}" sourceRef="{a}" targetRef="{b}"/>' for n, (a, b) in enumerate(flows))
diagram = f"""<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" targetNamespace="t"><process id="p" isExecutable="true">
<startEvent id="s"/><parallelGateway id="split"/><scriptTask id="left"><script>{script.format("left")}</script></scriptTask>
<scriptTask id="right"><script>{script.format("right")}
del gone</script></scriptTask><parallelGateway id="join"/><manualTask id="m"/><endEvent id="e"/>{arrows}</process></definitions>"""
parser = BpmnParser()
parser.add_bpmn_xml(etree.fromstring(diagram))
workflow = BpmnWorkflow(parser.get_spec("p"))
workflow.get_next_task(state=TaskState.READY).data.update(l=[], d={}, n=0, gone=1)
workflow.do_engine_steps()
data = workflow.get_next_task(state=TaskState.READY).data
print(data)
assert data == {"l": ["right"], "d": {"left": True, "right": True}, "n": 1, "gone": 1}, "branches are joined otherwise now"
PY

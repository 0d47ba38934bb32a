"""What a mouse and a keyboard do in a tab."""

from rlvr_world.web.browser.tab import ActionImpossible, Tab

KEYED = 24
"""Letters at the end of a typed text that come as key strokes, which pages may listen to."""

CHOOSE = """function () {
  if (!(this instanceof HTMLOptionElement) || !this.closest('select')) return false;
  const select = this.closest('select');
  select.focus();
  this.selected = select.multiple ? !this.selected : true;
  for (const name of ['input', 'change']) select.dispatchEvent(new Event(name, { bubbles: true }));
  return true;
}"""

MODIFIERS = {"ctrl": "Control", "cmd": "Meta", "meta": "Meta", "alt": "Alt", "shift": "Shift"}


async def click(tab: Tab, node: int) -> None:
    """Click a DOM node, or choose it if it is an option of a closed list."""
    try:
        point = await _point(tab, node)
    except ActionImpossible:
        if not await _choose(tab, node):
            raise
    else:
        await tab.page.mouse.click(*point)


async def hover(tab: Tab, node: int) -> None:
    """Move the mouse over a DOM node."""
    await tab.page.mouse.move(*await _point(tab, node))


async def type_text(tab: Tab, node: int, text: str, enter: bool) -> None:
    """Replace what a field holds."""
    await tab.page.mouse.click(*await _point(tab, node))
    await tab.page.keyboard.press("Control+a")
    if not text:
        await tab.page.keyboard.press("Delete")
    if text[:-KEYED]:
        await tab.page.keyboard.insert_text(text[:-KEYED])
    await tab.page.keyboard.type(text[-KEYED:])
    if enter:
        await tab.page.keyboard.press("Enter")


async def press(tab: Tab, keys: str) -> None:
    """Press a key or keys such as ``ctrl+a``."""
    names = [MODIFIERS.get(name.lower(), name) for name in keys.split("+")]
    try:
        await tab.page.keyboard.press("+".join(names))
    except tab.error as error:
        if "Unknown key" in str(error):
            raise ActionImpossible(f"there is no key {keys}") from error
        raise


async def scroll(tab: Tab, down: bool) -> None:
    """Scroll by the height of the window."""
    await tab.evaluate(f"window.scrollBy(0, {'' if down else '-'}innerHeight)")


async def _point(tab: Tab, node: int) -> tuple[float, float]:
    """The middle of a DOM node, in the window; it is scrolled to."""
    where = {"backendNodeId": node}
    try:
        await tab.cdp.send("DOM.scrollIntoViewIfNeeded", where)
        quads = (await tab.cdp.send("DOM.getContentQuads", where))["quads"]
    except tab.error:
        quads = []
    if not quads:
        raise ActionImpossible("the element has no place on the page")
    quad = quads[0]
    return sum(quad[0::2]) / 4, sum(quad[1::2]) / 4


async def _choose(tab: Tab, node: int) -> bool:
    """Choose an option of a closed list; False if it is something else."""
    where = {"backendNodeId": node, "executionContextId": await tab.world()}
    try:
        element = (await tab.cdp.send("DOM.resolveNode", where))["object"]["objectId"]
    except tab.error:
        return False
    call = {"objectId": element, "functionDeclaration": CHOOSE, "returnByValue": True}
    answer = await tab.cdp.send("Runtime.callFunctionOn", call)
    return answer["result"].get("value") is True

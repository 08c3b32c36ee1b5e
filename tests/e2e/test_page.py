"""The page at `/` in a real browser, against the running product.

It needs a Chromium: `apt-get install chromium`, or any browser of the names below.
"""

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect
from redis.asyncio import Redis

from common.streams import names
from kwe import Client
from kwe.local.stack import LocalStack

pytestmark = pytest.mark.asyncio(loop_scope="module")

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")
PATIENCE_MS = 20_000
PAYLOAD = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>'

WORKFLOWS = {
    "page-answer": """
  - conclude:
      set:
        text: 'You have 30 days [2]. ${ .question }'
        citations:
          - {number: 2, id: refunds.md, document: Refund policy, text: within 30 days, start: 226, end: 301, score: 1.3}
""",
    "page-timer": """
  - prepare: {set: {ready: true}}
  - rest: {wait: {seconds: 5}}
  - conclude: {set: {done: true}}
""",
    "page-long": """
  - rest: {wait: {minutes: 30}}
""",
    "page-fault": """
  - outer:
      do:
        - look: {call: http, with: {method: get, endpoint: 'http://127.0.0.1:9/'}}
""",
    "page-loop": """
  - loop: {for: {each: item, in: '${ .items }'}, do: [{step: {set: {item: '${ $item }'}}}]}
""",
}
"""Their tasks. Names begin with `page`, because other tests share the stack."""


@pytest.fixture(scope="module")
def browser_path() -> str:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no browser to test the page with: install one of {', '.join(BROWSERS)}")
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(browser_path: str) -> AsyncIterator[Browser]:
    expect.set_options(timeout=PATIENCE_MS)
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(
            executable_path=browser_path, args=list(ARGUMENTS)
        )
        yield launched
        await launched.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(stack: LocalStack) -> AsyncIterator[Client]:
    async with Client(stack.url, stack.api_key) as client:
        for name, tasks in WORKFLOWS.items():
            head = f"document: {{dsl: '1.0.3', namespace: tests, name: {name}, version: '1.0.0'}}\n"
            await client.apply(f"{head}do:{tasks}")
        yield client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def window(browser: Browser, stack: LocalStack, api: Client) -> AsyncIterator[BrowserContext]:
    """Signed in, and shared: its cache spares loading the page's files for each test."""
    context = await signed_in(browser, stack.api_key)
    yield context
    await context.close()


@pytest_asyncio.fixture(loop_scope="module")
async def page(window: BrowserContext) -> AsyncIterator[Page]:
    """Whatever goes wrong in the page's own code fails the test."""
    opened = await window.new_page()
    opened.set_default_timeout(PATIENCE_MS)
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    yield opened
    await opened.close()
    assert faults == []


async def signed_in(browser: Browser, key: str) -> BrowserContext:
    context = await browser.new_context(viewport={"width": 1400, "height": 900})
    script = f"sessionStorage.setItem('kwe.credential', {json.dumps(key)})"
    await context.add_init_script(script)
    return context


async def started(api: Client, workflow: str, input: Any = None, **more: Any) -> str:
    return (await api.start(f"tests/{workflow}", input, **more)).id


async def ended(api: Client, workflow: str, input: Any = None) -> str:
    return (await api.run(f"tests/{workflow}", input)).id


def address(stack: LocalStack, path: str) -> str:
    return f"{stack.url}/#/{path}"


def row(page: Page, reference: str) -> Any:
    return page.locator(f'.row.task[data-reference="{reference}"]')


async def test_signing_in_says_where_the_key_is_and_what_is_wrong_with_another(
    browser: Browser, stack: LocalStack, api: Client
) -> None:
    context = await browser.new_context()
    page = await context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    await page.goto(stack.url)
    await expect(page.get_by_text(".kwe/credentials", exact=True)).to_be_visible()
    key = page.get_by_label("API key or token")
    await key.fill("kwe_wrong")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("alert")).to_contain_text("Not authenticated")
    await key.fill(stack.api_key)
    await key.press("Enter")
    await expect(page.get_by_role("heading", name="Executions")).to_be_visible()
    await page.get_by_role("button", name="Sign out").click()
    await expect(key).to_be_visible()
    assert await page.evaluate("sessionStorage.length") == 0
    await context.close()


async def test_the_list_shows_new_executions_by_itself(
    page: Page, stack: LocalStack, api: Client
) -> None:
    await page.goto(address(stack, "executions?workflow=tests/page-long"))
    await expect(page.get_by_text("Nothing matches this filter")).to_be_visible()
    execution = await started(api, "page-long", labels={"customer": "acme"})
    link = page.locator(f'a.whole-row[href="#/executions/{execution}"]')
    await expect(link).to_have_text("tests/page-long")
    await expect(page.get_by_text("customer:acme")).to_be_visible()
    await api.cancel(execution)
    await expect(page.locator("td .badge")).to_have_text("cancelled")
    await link.click()
    await expect(page.get_by_role("heading", name="tests/page-long")).to_be_visible()


async def test_a_filter_is_in_the_address(page: Page, stack: LocalStack, api: Client) -> None:
    failed, done = await ended(api, "page-fault"), await ended(api, "page-answer", {"question": ""})
    await page.goto(address(stack, "executions"))
    await expect(page.locator(f'[href="#/executions/{done}"]')).to_be_visible()
    await page.get_by_role("button", name="faulted").click()
    await expect(page.locator(f'[href="#/executions/{done}"]')).to_have_count(0)
    assert page.url.endswith("#/executions?status=faulted")
    await page.reload()
    await expect(page.locator(f'[href="#/executions/{failed}"]')).to_be_visible()
    await expect(page.get_by_role("button", name="faulted")).to_have_attribute(
        "aria-pressed", "true"
    )
    await page.get_by_label("Workflow").fill("No Name!")
    await page.get_by_label("Workflow").press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("namespace/name")


async def test_the_timeline_moves_while_a_workflow_waits(
    page: Page, stack: LocalStack, api: Client
) -> None:
    # The page is there before the timer runs, however slowly it was loaded.
    await page.goto(address(stack, "executions?workflow=tests/page-timer"))
    await expect(page.locator("h1")).to_be_visible()
    execution = await started(api, "page-timer")
    await page.goto(address(stack, f"executions/{execution}"))
    await expect(row(page, "/do/1/rest").locator(".badge")).to_have_text("waiting")
    why = page.get_by_role("region", name="Why it waits")
    await expect(why).to_contain_text("waits for a timer")
    await expect(why).to_contain_text("/do/1/rest")
    await expect(row(page, "/do/2/conclude")).to_have_count(0)
    bar = row(page, "/do/1/rest").locator(".span.wait.open")
    shares = "e => e.getBoundingClientRect().width / e.parentElement.getBoundingClientRect().width"
    assert await bar.evaluate(shares) > 0.5
    # Nothing is loaded again from here on.
    await expect(row(page, "/do/2/conclude").locator(".badge")).to_have_text("completed")
    await expect(page.locator("h1 + .badge")).to_have_text("completed")
    await expect(why).to_have_count(0)
    await expect(page.get_by_role("region", name="Output")).to_contain_text('"done": true')
    await expect(page.get_by_role("status").first).to_have_text("Execution completed")


async def test_what_a_model_says_comes_in_while_it_says_it(
    page: Page, stack: LocalStack, api: Client
) -> None:
    execution = await started(api, "page-long")
    await page.goto(address(stack, f"executions/{execution}"))
    await expect(page.locator(".live.live").first).to_have_text("live")
    delta = {"type": "task.delta", "task": "rest", "reference": "/do/0/rest", "try": 1}
    async with Redis.from_url(stack.environment.redis_url) as redis:
        for text in ("Within <b>thirty", " days."):
            said = json.dumps({**delta, "text": text})
            async with asyncio.timeout(10):
                while not await redis.publish(names.deltas(execution), said):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)  # nothing says when the gateway listens
    await expect(page.locator(".voices .speech")).to_have_text("Within <b>thirty days.")
    await api.cancel(execution)
    await expect(page.locator(".voices .speech")).to_have_count(0)


async def test_an_error_says_what_where_and_what_to_do(
    page: Page, stack: LocalStack, api: Client
) -> None:
    execution = await ended(api, "page-fault")
    await page.goto(address(stack, f"executions/{execution}"))
    failure = page.get_by_role("region", name="Why it failed")
    await expect(failure).to_contain_text("errors/authorization")
    await expect(failure).to_contain_text("OUTBOUND_ALLOW")
    await expect(failure.get_by_role("heading", name="What to do")).to_be_visible()
    await expect(failure.locator(".advice li")).not_to_have_count(0)
    await failure.get_by_role("button", name="/do/0/outer/do/0/look").click()
    await expect(row(page, "/do/0/outer/do/0/look")).to_have_attribute("aria-selected", "true")
    await expect(page.locator(".task-detail")).to_contain_text("Error of this task")
    await page.reload()  # the address names the task
    await expect(page.locator(".task-detail")).to_contain_text("/do/0/outer/do/0/look")


async def test_an_answer_leads_to_its_citations(page: Page, stack: LocalStack, api: Client) -> None:
    execution = await ended(api, "page-answer", {"question": "Good."})
    await page.goto(address(stack, f"executions/{execution}"))
    answer = page.get_by_role("region", name="Answer")
    await expect(answer.locator(".answer-text")).to_contain_text("You have 30 days")
    await expect(answer.locator(".passage")).to_contain_text("refunds.md · characters 226–301")
    await answer.get_by_role("button", name="Citation [2]").click()
    await expect(answer.locator(".passage")).to_be_focused()


async def test_markup_in_data_is_only_text(page: Page, stack: LocalStack, api: Client) -> None:
    execution = (
        await api.run("tests/page-answer", {"question": PAYLOAD}, labels={"note": PAYLOAD})
    ).id
    await page.goto(address(stack, "executions?workflow=tests/page-answer"))
    await expect(page.get_by_text(f"note:{PAYLOAD}").first).to_be_visible()
    await page.goto(address(stack, f"executions/{execution}"))
    await expect(page.locator(".answer-text")).to_contain_text(PAYLOAD)
    await expect(page.get_by_role("region", name="Input")).to_contain_text("<img src=x")
    await row(page, "/do/0/conclude").click()
    await expect(page.locator(".task-detail")).to_contain_text("<img src=x")
    assert await page.locator("img, body script").count() == 0
    assert await page.evaluate("window.pwned") is None


async def test_the_policy_of_the_page_lets_no_other_script_run(
    page: Page, stack: LocalStack
) -> None:
    answer = await page.goto(stack.url)
    assert answer is not None
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    refused = """() => {
        try { document.body.innerHTML = "<b>x</b>"; return false } catch { return true }
    }"""
    assert await page.evaluate(refused)


async def test_an_execution_is_started_again_with_another_input(
    page: Page, stack: LocalStack, api: Client
) -> None:
    number = 12345678901234567890  # more digits than JavaScript's own numbers have
    first = await ended(api, "page-answer", {"number": number, "question": "first"})
    await page.goto(address(stack, f"executions/{first}"))
    await page.get_by_role("button", name="Start again…").click()
    field = page.get_by_label("Input, JSON")
    await expect(field).to_have_value(re.compile(f'"number": {number},\n'))
    await field.fill('{"question": ')
    await expect(page.get_by_role("button", name="Start", exact=True)).to_be_disabled()
    await field.fill('{"question": "second"}')
    await page.get_by_role("button", name="Start", exact=True).click()
    await expect(page.locator(".answer-text")).to_contain_text("second")
    await page.get_by_role("link", name="started again from").click()
    await expect(page.locator(".answer-text")).to_contain_text("first")


async def test_an_execution_is_suspended_resumed_and_cancelled(
    page: Page, stack: LocalStack, api: Client
) -> None:
    execution = await started(api, "page-long")
    await page.goto(address(stack, f"executions/{execution}"))
    status = page.locator("h1 + .badge")
    await page.get_by_role("button", name="Suspend…").click()
    await page.get_by_role("button", name="Suspend", exact=True).click()
    await expect(status).to_have_text("suspended")
    await expect(page.get_by_role("region", name="Why it waits")).to_contain_text("Resume it")
    await page.get_by_role("button", name="Resume").click()
    await page.get_by_role("dialog").get_by_role("button", name="Resume").click()
    await expect(status).to_have_text("waiting")
    await page.get_by_role("button", name="Cancel…").click()
    await page.get_by_label("Reason").fill("asked twice")
    await page.get_by_role("button", name="Cancel it").click()
    await expect(status).to_have_text("cancelled")
    await expect(page.locator(".summary")).to_contain_text("asked twice")
    await expect(page.get_by_role("button", name="Cancel…")).to_have_count(0)


async def test_a_lost_stream_is_taken_up_again(page: Page, stack: LocalStack, api: Client) -> None:
    execution = await started(api, "page-timer")
    await page.route("**/events", lambda route: route.abort())
    await page.goto(address(stack, f"executions/{execution}"))
    await expect(page.get_by_text("connecting again…")).to_be_visible()
    await page.unroute("**/events")
    await expect(page.locator("h1 + .badge")).to_have_text("completed")
    await expect(row(page, "/do/2/conclude")).to_be_visible()


async def test_a_thousand_tasks_are_no_burden(page: Page, stack: LocalStack, api: Client) -> None:
    execution = await ended(api, "page-loop", {"items": list(range(1000))})
    await page.goto(address(stack, f"executions/{execution}"))
    more = page.get_by_role("button", name="Show 500 more")
    await expect(more).to_be_visible()
    await expect(page.locator(".summary")).to_contain_text("1,001 tasks")
    assert await page.locator(".row.task").count() == 51
    await more.click()
    await expect(page.locator(".row.task")).to_have_count(551)
    await page.goto(address(stack, f"executions/{execution}?task=/do/0/loop/for/999/do/0/step"))
    await page.reload()
    await expect(page.locator(".task-detail")).to_contain_text('"item": 999')


async def test_everything_can_be_done_from_the_keyboard(
    page: Page, stack: LocalStack, api: Client
) -> None:
    execution = await ended(api, "page-fault")
    await page.goto(address(stack, "executions"))
    await expect(page.locator("tbody tr").first).to_be_visible()
    await page.keyboard.press("/")
    await page.keyboard.type(execution)
    await page.keyboard.press("Enter")
    await expect(row(page, "/do/0/outer")).to_be_visible()
    await row(page, "/do/0/outer").focus()
    await page.keyboard.press("ArrowLeft")
    await expect(row(page, "/do/0/outer/do/0/look")).to_have_count(0)
    await page.keyboard.press("ArrowRight")
    await page.keyboard.press("ArrowDown")
    await expect(row(page, "/do/0/outer/do/0/look")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator(".task-detail")).to_be_visible()


async def test_operations_shows_the_invariants_or_the_scope_that_is_missing(
    page: Page, browser: Browser, stack: LocalStack, api: Client
) -> None:
    await page.goto(address(stack, "operations"))
    await expect(page.get_by_role("heading", name="Unfinished executions")).to_be_visible()
    await expect(page.locator(".good").first).to_be_visible()
    answer = await page.request.post(
        f"{stack.url}/v1/api-keys",
        headers={"Authorization": f"Bearer {stack.api_key}"},
        data={"scopes": ["executions:read"]},
    )
    context = await signed_in(browser, (await answer.json())["key"])
    reader = await context.new_page()
    await reader.goto(address(stack, "operations"))
    await expect(reader.get_by_role("alert").first).to_contain_text("admin")
    await reader.goto(address(stack, "executions"))  # without the feed it looks now and then
    await expect(reader.locator("tbody tr").first).to_be_visible(timeout=PATIENCE_MS)
    await context.close()


async def test_a_message_that_was_set_aside_is_shown_and_sent_again(
    page: Page, stack: LocalStack, api: Client
) -> None:
    about = await ended(api, "page-fault")
    facts = {"organization_id": str(stack.organization_id), "execution_id": about}
    unreadable = json.dumps({"type": "execution.start.v<b>9</b>", **facts})
    await page.goto(address(stack, "operations"))
    letters = page.locator("section", has=page.get_by_role("heading", name="Dead letters"))
    await expect(letters.get_by_text("There are none")).to_be_visible()

    async with Redis.from_url(stack.environment.redis_url) as redis:
        await redis.xadd(names.commands(0), {names.FIELD: unreadable})
    await until_set_aside(api)
    await page.reload()

    letter = letters.locator("tbody tr")
    await expect(letter).to_have_count(1)
    await expect(letter).to_contain_text("unreadable")
    await expect(letter.locator("b")).to_have_count(0)
    await expect(letter.locator(f'a[href="#/executions/{about}"]')).to_be_visible()
    await letter.get_by_role("button", name="Send again").click()
    await expect(letters.get_by_text("sent again")).to_be_visible()
    await expect(page.get_by_role("alert")).to_have_count(0)


async def until_set_aside(api: Client) -> None:
    """Return when some message has been set aside."""
    async with asyncio.timeout(PATIENCE_MS / 1000):
        while not [letter async for letter in api.dead_letters()]:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def test_what_does_not_exist_is_said_so(page: Page, stack: LocalStack) -> None:
    await page.goto(address(stack, "executions/01890000-0000-7000-8000-000000000000"))
    await expect(page.get_by_role("alert")).to_contain_text("There is no execution of this id")
    answer = await page.request.get(f"{stack.url}/static/0/js/nothing.js")
    assert answer.status == 404

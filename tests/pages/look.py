"""Pages and pictures as a browser sees them: nothing is fetched, no script is needed or runs, axe-core finds nothing wrong in light
and in dark, they print, and a picture alone is an image."""

import pathlib
import sys

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

folder = pathlib.Path(sys.argv[1])
passed = failed = 0


def check(what, right, found=""):
    global passed, failed
    if right:
        passed += 1
    else:
        failed += 1
        print(f"FAILED: {what} {found}")


def page_of(browser, path, **how):
    page = browser.new_page(**how)
    asked, ran = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: (ran.append(dialog.message), dialog.dismiss()))
    page.on("console", lambda said: ran.append(said.text))
    page.goto(path.as_uri())
    return page, asked, ran


with sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
    for path in sorted(folder.glob("*.html")):
        size = path.stat().st_size
        print(f"{path.name}: {size // 1024} KiB")
        for scheme in ("light", "dark"):
            page, asked, ran = page_of(browser, path, color_scheme=scheme)
            found = Axe().run(page).response["violations"]
            named = [(own["id"], own["nodes"][0]["html"][:150]) for own in found]
            check(f"{path.name} is accessible in {scheme}", not found, named)
            check(f"{path.name} fetches nothing", asked == [path.as_uri()], asked)
            check(f"{path.name} runs nothing", not ran, ran)
            check(f"{path.name} is {scheme}", page.evaluate("getComputedStyle(document.body).backgroundColor")
                  == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 24, 29)"}[scheme])
            page.close()
        # Without scripts, on a phone: all is there and nothing sticks out.
        page, _, _ = page_of(browser, path, java_script_enabled=False, viewport={"width": 390, "height": 800})
        check(f"{path.name} has a heading and scores", page.locator("h1").count() == 1 and page.locator("table").count() > 0)
        widths = [figure.bounding_box()["width"] for figure in page.locator("svg").all()]
        check(f"{path.name} fits a phone", all(100 < width <= 390 for width in widths), widths)
        check(f"{path.name} has no element of a stranger", page.locator("script, img, iframe, b, i, u").count() == 0)
        page.close()
        page, _, _ = page_of(browser, path, color_scheme="dark")
        printed = page.pdf(format="A4", print_background=True)
        page.emulate_media(media="print")
        check(f"{path.name} prints", printed.startswith(b"%PDF") and len(printed) > 10_000, len(printed))
        check(f"{path.name} is printed black on white", page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)")
        page.close()
    page, _, _ = page_of(browser, folder / "churn.html")
    said = page.locator("body").inner_text()
    for text in ("عملاء <b>", "الإنفاق", "tier/<b>", "Segments", "PSI", "roc_auc"):
        check(f"the page says {text}", text in said)
    drawn = " ".join(page.locator("svg text").all_text_contents())
    for text in ("<script>alert(1)</script>", '東京 & "大阪"', "الإنفاق"):
        check(f"a picture says {text}", text[:20] in drawn, drawn[:300])
    page.close()
    for path in sorted(folder.glob("*.svg")):
        page = browser.new_page()
        page.goto("about:blank")
        page.set_content("<p>picture</p>")
        (folder / "image.html").write_text(f'<img src="{path.name}" alt="a picture">')
        page.goto((folder / "image.html").as_uri())
        width = page.evaluate("document.images[0].decode().then(() => document.images[0].naturalWidth)")
        check(f"{path.name} is an image", width == 640, width)
        page.goto(path.as_uri())
        out = page.evaluate("""() => [...document.querySelectorAll('text')].filter(own => {
            const at = own.getBoundingClientRect(), all = document.documentElement.getBoundingClientRect();
            return at.left < all.left - 1 || at.right > all.right + 1 || at.top < all.top - 1 || at.bottom > all.bottom + 1;
        }).map(own => own.textContent)""")
        check(f"{path.name} holds its words", not out, out)
        page.close()
    browser.close()
print(f"{passed} passed, {failed} failed")
sys.exit(failed > 0)

// A person with a real browser at the console: signs in at the provider, looks, signs out, and meets an
// attacker's page on the way. Prints what was seen as one line of JSON; the test judges it.
//
// Environment: ORIGIN the console, SHOTS a folder for pictures, CHROMIUM the browser.

import { createServer } from 'node:http';
import { browser, complaints, pictures, signIn, visitor } from './browser.mjs';

const { ORIGIN } = process.env;
const COOKIE = '__Host-portcullis';
const SCREEN = { width: 1280, height: 860 };
const seen = { complaints, pages: {} };

async function sessionOf(context) {
  return (await context.cookies(ORIGIN)).find((cookie) => cookie.name === COOKIE);
}

// ---- signing in ------------------------------------------------------------------------------------

const { context, page } = await visitor(SCREEN, /401/);
// A name for the session that somebody else chose must not become one.
const planted = 'A'.repeat(43);
await context.addCookies([{ name: COOKIE, value: planted, url: ORIGIN, secure: true, httpOnly: true, sameSite: 'Lax' }]);
await page.goto(`${ORIGIN}/`);
seen.first = new URL(page.url()).pathname;
await pictures(page, 'sign-in');
await signIn(page, 'alice');
seen.arrived = new URL(page.url()).pathname;

const cookie = await sessionOf(context);
seen.cookie = { ...cookie, value: undefined, letters: cookie.value.length, planted: cookie.value === planted };
const answer = await page.goto(`${ORIGIN}/`);
seen.headers = answer.headers();
seen.title = await page.title();
seen.main = await page.locator('main').innerText();
seen.headings = await page.getByRole('heading').allInnerTexts();
seen.scripts = await page.locator('script').count();
seen.unlabelled = await page.locator('button:not(:has-text("")), img:not([alt]), input:not([type=hidden])').count();
await pictures(page, 'overview');

// ---- an attacker's page ----------------------------------------------------------------------------

const evil = createServer((request, response) => {
  response.setHeader('content-type', 'text/html');
  response.end(`<form id=f method=post action="${ORIGIN}/sign-out"><input name=token value=guess></form>
    <iframe src="${ORIGIN}/"></iframe><button form=f id=go>win</button>`);
});
await new Promise((resolve) => evil.listen(0, '127.0.0.1', resolve));
const tab = await context.newPage();
await tab.goto(`http://127.0.0.1:${evil.address().port}/`);
seen.framed = tab.frames().length > 1 ? (await tab.frames()[1].content()).includes('Your groups') : false;
const [forged] = await Promise.all([
  tab.waitForResponse((response) => response.url() === `${ORIGIN}/sign-out`), tab.click('#go'),
]);
seen.forged = forged.status();
await tab.close();
evil.close();
await page.goto(`${ORIGIN}/`);
seen.stillIn = (await page.locator('main').innerText()).includes('Your groups');

// The cookie alone does not sign anybody out either: the form's own token is asked for.
const guessed = await context.request.post(`${ORIGIN}/sign-out`, {
  headers: { origin: ORIGIN }, form: { token: 'guess' }, maxRedirects: 0,
});
seen.guessed = guessed.status();

// Somebody else's answer from the issuer is none of this browser's.
const stranger = await visitor(SCREEN, /401/);
const alien = await stranger.page.goto(`${ORIGIN}/sign-in/callback/panva?code=abc&state=def`);
seen.alien = alien.status();
await pictures(stranger.page, 'refused');
await stranger.context.close();

// ---- signing out -----------------------------------------------------------------------------------

await page.getByRole('button', { name: 'Sign out' }).click();
await page.waitForURL(`${ORIGIN}/sign-out`);
seen.signedOut = await page.locator('h1').innerText();
seen.further = await page.getByRole('link', { name: /Sign out at/ }).getAttribute('href');
seen.cookieAfter = (await sessionOf(context)) ?? null;
await pictures(page, 'signed-out');

// The cookie that was stolen before opens nothing now.
const thief = await visitor(SCREEN, /401/);
await thief.context.addCookies([{ name: COOKIE, value: cookie.value, url: ORIGIN, secure: true, httpOnly: true, sameSite: 'Lax' }]);
await thief.page.goto(`${ORIGIN}/`);
seen.stolen = new URL(thief.page.url()).pathname;
seen.stolenCookie = (await sessionOf(thief.context)) ?? null;

await browser.close();
console.log(JSON.stringify(seen));

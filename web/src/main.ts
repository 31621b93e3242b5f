import { mount } from "svelte";
import { App } from "./app.svelte";
import { chooseEngine } from "./engine/choose";
import { chooseStore } from "./project/choose";
import Page from "./ui/Page.svelte";
import "./ui/theme.css";

const target = document.getElementById("app");
if (target) {
  const app = new App(await chooseEngine(), await chooseStore());
  mount(Page, { target, props: { app } });
  await app.session.start();
}

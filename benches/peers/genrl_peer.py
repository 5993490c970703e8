"""GenRL 0.3.0 as a peer: two nodes that exchange answers over hivemind.

    genrl_peer.py model FOLDER                    makes a tiny model with a tokenizer, which both sides load, and teaches it to end
                                                  its answers, so that some are right and there is something to learn
    genrl_peer.py node FOLDER PEERS SIZE          one node; PEERS is a file: the first node writes it, the second waits for it
                                                  SIZE: {"first": bool, "rounds": 8, "questions": 2, "samples": 2, "tokens": 24, "sleep": true}

A node prints one JSON line per round: {"process": 17, "round": 3, "heard": 2}, where `heard` are the other's questions that it learned from.

GenRL as published exchanges nothing; two defects are mended here, as any comparison has to: PyPI's hivemind does not export
`get_dht_time` where GenRL looks for it, and a payload of a peer cannot be indexed, which raises, is swallowed, and leaves each
node training alone. Each gather sleeps for a second by design; with `"sleep": false` it does not.
"""

import json
import os
import sys
import time

# One thread each, as our nodes have.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["HIVEMIND_WORLD_SIZE"] = "2"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

VOCABULARY = 512
LESSONS = 150
ROWS = 16
TEMPLATE = (
    "{% for message in messages %}{% if message['content'] %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def make_model(folder):
    import torch
    from reasoning_gym import create_dataset
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    entries = list(create_dataset("letter_counting", min_words=3, max_words=6, size=LESSONS * ROWS, seed=1))
    for entry in entries:
        # Where GenRL looks for an answer; ours does, too.
        entry["answer"] = f"<answer>{entry['answer']}</answer>"
    for entry in entries[1::2]:
        # The other side's words for the same question.
        letter, text = entry["metadata"]["target_letter"], " ".join(entry["metadata"]["span"])
        entry["question"] = f'How many times does "{letter}" occur in this text, as a small or a capital letter? {text}'

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=special, initial_alphabet=alphabet)
    tokenizer.train_from_iterator((entry["question"] + " " + entry["answer"] for entry in entries), trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<|pad|>", eos_token="<|end|>", padding_side="left", chat_template=TEMPLATE
    )
    fast.save_pretrained(folder)

    torch.manual_seed(1)
    config = Qwen2Config(
        vocab_size=VOCABULARY, hidden_size=64, intermediate_size=176, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=512, tie_word_embeddings=True,
        eos_token_id=1, pad_token_id=0, bos_token_id=None,
    )
    model = Qwen2ForCausalLM(config)
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for step in range(LESSONS):
        rows = []
        for entry in entries[step * ROWS : (step + 1) * ROWS]:
            turn = [{"role": "user", "content": entry["question"]}]
            prompt = fast.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
            rows.append((fast.encode(prompt), fast.encode(entry["answer"]) + [1]))
        width = max(len(prompt) + len(answer) for prompt, answer in rows)
        tokens = torch.tensor([p + a + [0] * (width - len(p) - len(a)) for p, a in rows])
        labels = torch.tensor([[-100] * len(p) + a + [-100] * (width - len(p) - len(a)) for p, a in rows])
        loss = model(input_ids=tokens, attention_mask=(tokens != 0).long(), labels=labels).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    model.save_pretrained(folder)
    print(json.dumps({"parameters": model.num_parameters(), "loss": loss.item()}), flush=True)


DATASETS = """
size: 1000
seed: 42
datasets:
  - name: letter_counting
    weight: 1
    config: {min_words: 3, max_words: 6}
"""


def node(folder, peers, size):
    import hivemind
    import hivemind.utils

    hivemind.get_dht_time = hivemind.utils.get_dht_time

    import genrl.communication.hivemind.hivemind_backend as backend
    import torch
    from genrl.communication.communication import Communication, Payload
    from genrl.examples.rgym.data import ReasoningGymDataManager
    from genrl.examples.rgym.rewards import RGRewards
    from genrl.game.game_manager import BaseGameManager
    from genrl.rewards.reward_manager import DefaultRewardManager
    from genrl.rewards.reward_store import RewardFnStore, RoundRewardFnStore
    from genrl.state import GameState
    from genrl.trainer.grpo_trainer import GRPOLanguageTrainerModule, GRPOTrainerConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(1)
    Payload.__getitem__ = lambda self, key: getattr(self, key)
    if not size["sleep"]:
        backend.time = type("Time", (), {"sleep": staticmethod(lambda _: None), "monotonic": staticmethod(time.monotonic)})

    if size["first"]:
        backend.HivemindRendezvouz.init(is_master=True)
        backend.HivemindRendezvouz.set_initial_peers = classmethod(lambda cls, peers: None)
        communication = backend.HivemindBackend()
        addresses = [str(a) for a in communication.dht.get_visible_maddrs(latest=True)]
        with open(peers + ".new", "w") as file:
            json.dump(addresses, file)
        os.rename(peers + ".new", peers)
    else:
        while not os.path.exists(peers):
            time.sleep(0.1)
        with open(peers) as file:
            communication = backend.HivemindBackend(initial_peers=json.load(file))

    datasets = os.path.join(folder, f"datasets-{os.getpid()}.yaml")
    with open(datasets, "w") as file:
        file.write(DATASETS)
    seed = 1 if size["first"] else 2
    data = ReasoningGymDataManager(
        datasets, num_train_samples=size["questions"], num_evaluation_samples=0, seed=seed, num_transplant_trees=2
    )
    data.system_prompt = ""
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    config = GRPOTrainerConfig(
        num_generations=size["samples"], max_new_tokens=size["tokens"], learning_rate=3e-4, enable_gradient_checkpointing=False
    )
    trainer = GRPOLanguageTrainerModule(
        [AutoModelForCausalLM.from_pretrained(folder)], config, processing_class=tokenizer, log_dir=os.path.join(folder, f"log-{os.getpid()}")
    )

    rewards = RewardFnStore(size["rounds"], [RoundRewardFnStore(1, [RGRewards()])])

    class Game(BaseGameManager):
        def _hook_after_rewards_updated(self):
            self.others = sum(len(trees) for agent, trees in self.state.trees.items() if agent != self.rank)

        def _hook_after_round_advanced(self):
            print(json.dumps({"process": os.getpid(), "round": self.state.round, "heard": self.others}), flush=True)

    game = Game(
        max_stage=1, max_round=size["rounds"], game_state=GameState(round=0, stage=0),
        reward_manager=DefaultRewardManager(rewards),
        trainer=trainer, data_manager=data, communication=communication, run_mode="train",
    )
    game.run_game()
    communication.dht.shutdown()


if __name__ == "__main__":
    job, *arguments = sys.argv[1:]
    if job == "model":
        make_model(*arguments)
    else:
        folder, peers, size = arguments
        node(folder, peers, json.loads(size))

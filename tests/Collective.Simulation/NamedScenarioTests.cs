using Collective.Coordination;
using Collective.Protocol;
using NUnit.Framework;

namespace Collective.Simulation;

/// <summary>What must come of particular troubles, beyond that nothing breaks.</summary>
[TestFixture]
[Parallelizable(ParallelScope.All)]
public sealed class NamedScenarioTests
{
    private const int Seeds = 20;

    [Test]
    public void A_pair_that_cannot_connect_is_avoided_and_keeps_its_place([Values(4, 5, 8)] int peers)
        => ForSeeds(seed => Scenario.Of(seed, peers, 0, 1, new Fault(FaultKind.CutPairForever, 1, 1)), s => Assert.That(s.Blame.Evicted, Is.Empty));

    /// <summary>Each of its links fails, one after the other; the first of them must not be forgotten before the last is tried.</summary>
    [Test]
    public void A_peer_that_only_the_master_reaches_goes([Values(2, 3, 4, 8, 12)] int peers)
        => ForSeeds(seed => Scenario.Of(seed, peers, 0, 1, new Fault(FaultKind.IsolateData, 1, 1)), s => Assert.That(s.Blame.Evicted, Has.Count.LessThanOrEqualTo(2), "itself, and it comes back once"));

    [Test]
    public void Short_troubles_cost_nobody_its_place(
        [Values(nameof(FaultKind.FreezeShort), nameof(FaultKind.CutControlShort), nameof(FaultKind.CutPairShort), nameof(FaultKind.StallStripe), nameof(FaultKind.StallLinkAndReset),
            nameof(FaultKind.ResetLink), nameof(FaultKind.ResetLinkForSender), nameof(FaultKind.ResetLinkForReceiver), nameof(FaultKind.SwallowLink), nameof(FaultKind.PartitionShort), nameof(FaultKind.FreezeMasterShort))] string kind)
        => ForSeeds(
            seed => Scenario.Of(seed, 4, 1, 1, [.. Enumerable.Range(0, 4).Select(i => new Fault(Enum.Parse<FaultKind>(kind), i, 10 + (31 * i) + (seed % 29)))]),
            s => Assert.That(s.Blame.Ended, Is.Empty));

    [Test]
    public void A_frozen_peer_hears_why_it_was_evicted_and_comes_back()
        => ForSeeds(seed => Scenario.Of(seed, 4, 0, 1, new Fault(FaultKind.FreezeLong, 2, 20 + (seed * 5))), s =>
        {
            if (s.Faults.Struck.Count > 0 && s.Peers.Exists(p => p.Rejoined))
            {
                Assert.That(s.Blame.Ended, Has.Count.EqualTo(1));
                Assert.That(s.Blame.Ended[0].Code, Is.EqualTo(ErrorCode.Evicted));
                Assert.That(s.Blame.Ended[0].Reason, Does.Contain("no heartbeat"));
            }
        });

    /// <summary>It says so itself, and comes back.</summary>
    [Test]
    public void A_peer_that_cannot_do_its_part_goes_and_nobody_else([Values(2, 3, 5)] int peers)
        => ForSeeds(seed => Scenario.Of(seed, peers, 1, 1, new Fault(FaultKind.LocalFault, 1, 10 + (seed * 5))), s =>
        {
            Assert.That(s.Blame.Evicted, Is.Empty);
            Assert.That(s.Blame.Ended.Select(e => e.Code), Is.All.EqualTo(ErrorCode.LimitExceeded));
        }, atLeastOnce: s => s.Blame.Epochs.Exists(e => e.Reason.Contains("had to leave", StringComparison.Ordinal)));

    [Test]
    public void All_die_and_newcomers_begin_anew()
        => ForSeeds(seed => Scenario.Of(seed, 3, 4, 1, new Fault(FaultKind.Kill, 0, 40 + seed), new Fault(FaultKind.Kill, 1, 40 + (2 * seed)), new Fault(FaultKind.Kill, 2, 60)));

    [Test]
    public void Down_to_one_peer()
        => ForSeeds(seed => Scenario.Of(seed, 5, 0, 1, [.. Enumerable.Range(1, 4).Select(i => new Fault(seed % 3 == 0 ? FaultKind.Leave : FaultKind.Kill, i, 30 + (seed * i)))]));

    [Test]
    public void A_master_that_stood_still_blames_nobody()
        => ForSeeds(seed => Scenario.Of(seed, 4, 0, 1, new Fault(FaultKind.FreezeMasterLong, 0, 30 + (seed * 4))), s => Assert.That(s.Blame.Evicted, Is.Empty));

    [Test]
    public void A_lost_master_ends_every_call_with_inputs_restored()
        => ForSeeds(seed => Scenario.Of(seed, 4, 0, 1, new Fault(FaultKind.KillMaster, 0, 30 + (seed * 4))));

    /// <summary>Group 0 has peers 0, 2 and 4. What befalls them opens no epoch in group 1 while that works.</summary>
    [Test]
    public void A_fault_in_one_group_is_not_felt_by_another([Values(nameof(FaultKind.Kill), nameof(FaultKind.FreezeLong), nameof(FaultKind.ResetLink), nameof(FaultKind.ResetControl))] string kind)
        => ForSeeds(seed => Scenario.Of(seed, 6, 0, 2, new Fault(Enum.Parse<FaultKind>(kind), 0, 30 + (seed * 3)), new Fault(Enum.Parse<FaultKind>(kind), 2, 50 + (seed * 3))),
            s => Assert.That(s.Blame.Epochs.Where(e => e.Group == 1), Is.All.Matches<(uint Group, string Reason)>(e => e.Reason.Contains("because admitted", StringComparison.Ordinal) || e.Reason.Contains("is optimised", StringComparison.Ordinal) || e.Reason.EndsWith("left the run", StringComparison.Ordinal))));

    /// <summary>Both fetchers find out; the sync goes on with the other holder.</summary>
    [Test]
    public void A_holder_that_sends_wrong_bytes_goes_and_nobody_else()
        => ForSeeds(seed => Scenario.Of(seed, 5, 3, 1, SyncPolicy.EveryStep, [], liar: seed % 5), s =>
        {
            Assert.That(s.Blame.Evicted.Keys.Select(id => s.PeerOf(id).Index), Is.SubsetOf(new[] { s.Scenario.Liar }));
            Assert.That(s.SyncJudge.Succeeded, Is.GreaterThan(0));
        }, atLeastOnce: s => s.Blame.Evicted.Count == 1);

    [Test]
    public void A_peer_that_accuses_others_removes_nobody()
        => ForSeeds(seed => Scenario.Of(seed, 5, 2, 1, SyncPolicy.EveryStep, [], falseAccuser: seed % 7), s => Assert.That(s.Blame.Evicted, Is.Empty));

    /// <summary>It comes later than the others: they train on, in the same call, and no program of theirs sees an error.</summary>
    [Test]
    public void A_newcomer_that_does_not_fit_goes_and_nobody_else([Values(nameof(SyncPolicy.Guarded), nameof(SyncPolicy.EveryStep))] string syncs)
        => ForSeeds(seed => Scenario.Of(seed, 4, 2, 1, Enum.Parse<SyncPolicy>(syncs), [], misfit: 4 + (seed % 2)), s =>
        {
            Assert.That(s.Blame.Evicted.Keys.Select(id => s.PeerOf(id).Index), Is.SubsetOf(new[] { s.Scenario.Misfit }));
            Assert.That(s.Blame.Ended, Is.All.Matches<Outcome>(o => o.Code == ErrorCode.Evicted));
            Assert.That(s.SyncJudge.Succeeded, Is.GreaterThan(0));
            Assert.That(s.SyncJudge.Failed, Is.Zero);
        }, atLeastOnce: s => s.Blame.Evicted.Count == 1);

    /// <summary>Of three holders two die; the third is enough.</summary>
    [Test]
    public void A_sync_succeeds_while_one_holder_lives([Values(1, 2)] int deaths)
        => ForSeeds(
            seed => Scenario.Of(seed, 4, 1, 1, SyncPolicy.Guarded, [.. Enumerable.Range(0, deaths).Select(i => new Fault(FaultKind.Kill, i, 20 + ((seed + i) * 3)))]),
            s => Assert.That(s.SyncJudge.Succeeded, Is.GreaterThan(0)));

    [Test]
    public void Syncs_without_trouble_succeed([Values] bool handOver, [Values(2, 3, 9)] int peers)
        => ForSeeds(seed => Scenario.Of(seed, peers, 3, 1, handOver ? SyncPolicy.HandOver : SyncPolicy.EveryStep, []), s =>
        {
            Assert.That(s.Blame.Ended, Is.Empty);
            Assert.That(s.SyncJudge.Succeeded, Is.GreaterThan(0));
            Assert.That(handOver ? 0 : s.SyncJudge.Failed, Is.Zero); // All receive only, when those who could send have all left.
        });

    /// <summary>
    /// The master needs time for each message, and an epoch is a message to everybody: were each loss an epoch of its own, the heartbeats of the living would wait for longer than
    /// the timeout. That the simulator would notice: <see cref="SimulationTests.AMasterThatHandlesOneInputAtATimeIsCaught"/>.
    /// </summary>
    [Test]
    public void Many_that_go_or_come_at_once_harm_nobody([Values(nameof(FaultKind.Kill), nameof(FaultKind.Leave), nameof(FaultKind.CutControlLong), nameof(FaultKind.FreezeLong))] string kind)
    {
        for (var seed = 1; seed <= 3; seed++)
        {
            var simulator = new Simulator(Scenario.AtOnce(seed, Enum.Parse<FaultKind>(kind), AtOncePeers, AtOncePeers / 2, AtOncePeers / 4));
            try
            {
                simulator.Run();
            }
            catch (SimulationException e)
            {
                Assert.Fail($"seed {seed}: {e.Message}");
            }

            Assert.That(simulator.Faults.Struck, Has.Count.GreaterThan(AtOncePeers / 4), "what this is about did not happen");
        }
    }

    internal const int AtOncePeers = 80;

    private static void ForSeeds(Func<int, Scenario> scenarioOf, Action<Simulator>? check = null, Func<Simulator, bool>? atLeastOnce = null)
    {
        var happened = atLeastOnce is null;
        for (var seed = 1; seed <= Seeds; seed++)
        {
            var simulator = new Simulator(scenarioOf(seed));
            try
            {
                simulator.Run();
                check?.Invoke(simulator);
                happened |= atLeastOnce?.Invoke(simulator) ?? false;
            }
            catch (Exception e) when (e is not ResultStateException)
            {
                Assert.Fail($"seed {seed}, {simulator.Scenario}: {e.Message}");
            }
        }

        Assert.That(happened, "what this is about did not happen in any seed");
    }
}

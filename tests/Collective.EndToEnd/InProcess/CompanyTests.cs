using Collective.EndToEnd.Support;
using NUnit.Framework;

namespace Collective.EndToEnd.InProcess;

/// <summary>Who may come, who is waited for, and what those hear who wait.</summary>
[TestFixture]
internal sealed class CompanyTests : EndToEndTest
{
    [Test]
    public async Task AWrongFingerprintIsRefusedBeforeItIsAdmitted()
    {
        var master = StartMaster();
        var first = New(master, fingerprint: "resnet 50");
        await first.ConnectAsync().WaitAsync(Deadline);
        var wrong = New(master, minimumWorldSize: 3, fingerprint: "bert"); // So that both newcomers come with one update.
        AssertFailure(await FailureOf(() => wrong.ConnectAsync()), ErrorCode.MasterRefused, "\"bert\"", "\"resnet 50\"");
        wrong.Announce("resnet 50");
        await Admit([first], 3, wrong.ConnectAsync(), New(master, minimumWorldSize: 3).ConnectAsync());
    }

    [Test]
    public async Task AFingerprintMayBeAnnouncedLater()
    {
        var master = StartMaster();
        var first = New(master);
        await first.ConnectAsync().WaitAsync(Deadline);
        var wrong = New(master);
        wrong.Announce("1234", "state");
        var connecting = wrong.ConnectAsync();
        await ArePending([first], connecting);

        first.Announce("5678", "state");
        AssertFailure(await FailureOf(() => connecting), ErrorCode.MasterRefused, "\"1234\"", "\"5678\"", "\"state\"");
    }

    [Test]
    public async Task WhatCannotBeAFingerprintIsRefusedAtOnce()
    {
        var peer = New(StartMaster());
        AssertFailure(await FailureOf(() => peer.Announce(new string('é', 51))), ErrorCode.InvalidArgument, "102 bytes");
        foreach (var scope in "abcd")
        {
            peer.Announce("1", $"{scope}");
        }

        AssertFailure(await FailureOf(() => peer.Announce("1", "e")), ErrorCode.LimitExceeded, "4 scopes");
        peer.Announce(null, "a");
        peer.Announce("1", "e");
    }

    /// <summary>Three found a group; one of them runs something else. The others hear so, long before their timeouts.</summary>
    [Test]
    public async Task ARefusalEndsTheWaitOfTheOthers()
    {
        var master = StartMaster();
        var peers = new[] { "resnet", "resnet", "bert" }.Select(fingerprint => New(master, 3, fingerprint: fingerprint)).ToArray();
        var failures = await Task.WhenAll(peers.Select(p => FailureOf(() => p.ConnectAsync()))).WaitAsync(Deadline);
        Assert.That(failures.Select(f => f.Code), Is.All.EqualTo(ErrorCode.MasterRefused));
        Assert.That(failures.Select(f => f.Message), Is.All.Contains("\"bert\""));
        Assert.That(failures[0].Message, Does.Contain("of the 3 peers").And.Contain("connect all of them again"));
    }

    [Test]
    public async Task WhoWaitsIsToldForWhom()
    {
        var master = StartMaster();
        var peers = await ConnectGroup(master, 2);
        var reducing = peers[0].AllReduceAsync<int>(new int[3], tag: 9);
        var other = peers[1].Id.ToShortString();
        await Log.Says(Deadline, "Collective.Peer", "Information", "waited", "tag 9", other, "1 of 2 are there");
        await Log.Says(Deadline, "Collective.Master", "Information", "waited", "tag 9", other, "1 of 2 are there");
        await peers[1].AllReduceAsync<int>(new int[3], tag: 9).WaitAsync(Deadline);
        await reducing.WaitAsync(Deadline);
    }

    /// <summary>The others are lost; what is left does not go on alone, but with the newcomer.</summary>
    [Test]
    public async Task BelowTheMinimumAnAllReduceWaitsForCompany()
    {
        var master = StartMaster();
        var peers = new[] { New(master, 2, keeps: true), New(master, 2) };
        await All(peers, p => p.ConnectAsync());
        await All(peers, p => p.AllReduceAsync<int>(new int[] { 1 }));
        await peers[1].DisposeAsync();
        await Log.Says(Deadline, "stands with 1 peers");
        var reducing = peers[0].AllReduceAsync<int>(new int[] { 1 });
        var newcomer = New(master, 2);
        await newcomer.ConnectAsync().WaitAsync(Deadline);
        Assert.That((await newcomer.AllReduceAsync<int>(new int[] { 1 }).WaitAsync(Deadline)).WorldSize, Is.EqualTo(2));
        Assert.That((await reducing.WaitAsync(Deadline)).WorldSize, Is.EqualTo(2));
    }

    [Test]
    public async Task BelowTheMinimumCallsEndWithTheirTimeouts()
    {
        var master = StartMaster();
        var peers = new[] { New(master, 2, keeps: true), New(master, 2) };
        await All(peers, p => p.ConnectAsync());
        await peers[0].DisposeAsync();
        await Log.Says(Deadline, "stands with 1 peers");
        AssertFailure(await FailureOf(() => peers[1].AllReduceAsync<int>(new int[3])), ErrorCode.TooFewPeers);
        await peers[1].DisposeAsync();

        peers = [New(master, 2, keeps: true), New(master, 2)];
        await All(peers, p => p.ConnectAsync());
        await peers[1].DisposeAsync();
        while (peers[0].LiveWorld.WorldSize > 1)
        {
            await Task.Yield();
        }

        var brief = TimeSpan.FromMilliseconds(500);
        Assert.That((await peers[0].StepAsync().WaitAsync(Deadline)).WorldSize, Is.EqualTo(2), "the first step is the admission");
        AssertFailure(await FailureOf(() => peers[0].StepAsync(brief)), ErrorCode.TimedOut, "1 of the 2 peers");
        AssertFailure(await FailureOf(() => peers[0].AllReduceAsync<int>(new int[3], timeout: brief)), ErrorCode.TimedOut, "1 of the 2 peers");
        AssertFailure(await FailureOf(() => peers[0].StepAsync(brief)), ErrorCode.TimedOut, "1 of the 2 peers");
    }

    /// <summary>Newcomers get the state before anybody reduces with them.</summary>
    [Test]
    public async Task BelowTheMinimumNewcomersGetTheStateFirst()
    {
        var master = StartMaster();
        var peers = new[] { New(master, 2, keeps: true), New(master, 2, keeps: true) };
        await All(peers, p => p.ConnectAsync());
        await All(peers, Turn);
        await peers[1].DisposeAsync();
        var waiting = Turn(peers[0]);
        var newcomer = New(master, 2, keeps: true);
        await newcomer.ConnectAsync().WaitAsync(Deadline);
        Assert.That(await Task.WhenAll(waiting, Turn(newcomer)).WaitAsync(Deadline), Is.All.EqualTo(2));
        Assert.That(await All([peers[0], newcomer], Turn), Is.All.EqualTo(2));

        // A turn of a loop whose top is a step.
        static async Task<int> Turn(Communicator peer)
        {
            while (true)
            {
                if ((await peer.StepAsync()).HasNewcomers)
                {
                    var state = new SharedState { Revision = 0 };
                    state.Add<float>("w", new float[] { 1, 2, 3 });
                    await peer.SynchronizeSharedStateAsync(state);
                }

                try
                {
                    return (await peer.AllReduceAsync<int>(new int[3])).WorldSize;
                }
                catch (CollectiveException e) when (e.Code is ErrorCode.OperationAborted or ErrorCode.TooFewPeers)
                {
                    // To the top.
                }
            }
        }
    }

    private Communicator New(CollectiveMaster master, int minimumWorldSize = 1, bool keeps = false, string fingerprint = "")
        => NewCommunicator(new CommunicatorOptions(master.EndPoint.ToString()) { MinimumWorldSize = minimumWorldSize, KeepMinimumWorldSize = keeps, Fingerprint = fingerprint, ListenPort = 0, LoggerFactory = Log });
}

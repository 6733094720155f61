using Collective.EndToEnd.Support;
using NUnit.Framework;

namespace Collective.EndToEnd.InProcess;

/// <summary>Each call ends when its time is over, says who was waited for, and leaves the group able to go on.</summary>
internal sealed class TimeoutTests : EndToEndTest
{
    private static readonly TimeSpan Short = TimeSpan.FromMilliseconds(500);

    [Test]
    public async Task UpdateTopologyNamesWhoHasNotVoted()
    {
        var peers = await ConnectGroup(StartMaster(), 3);
        AssertFailure(
            await FailureOf(() => peers[0].UpdateTopologyAsync(Short)),
            ErrorCode.TimedOut, "not decided within 0.5 s", peers[1].Id.ToShortString(), peers[2].Id.ToShortString(), "is in no call", "have not voted");
        await All(peers, p => p.UpdateTopologyAsync());
    }

    [Test]
    public async Task ArePeersPendingNamesWhoHasNotAsked()
    {
        var peers = await ConnectGroup(StartMaster(), 2);
        AssertFailure(await FailureOf(() => peers[0].ArePeersPendingAsync(Short)), ErrorCode.TimedOut, $"peer {peers[1].Id.ToShortString()} (is in no call) has not asked");
        Assert.That(await All(peers, p => p.ArePeersPendingAsync()), Is.All.False);
    }

    [Test]
    public async Task AnAllReduceNamesWhoHasNotEntered([Values] bool blocking, [Values(10, 1_000_000)] int count)
    {
        var peers = await ConnectGroup(StartMaster(), 3);
        var buffer = Enumerable.Range(0, count).ToArray();
        var other = peers[1].AllReduceAsync<int>(new int[count], tag: 5);
        AssertFailure(
            await FailureOf(() => blocking ? Task.Run(() => peers[0].AllReduce(buffer.AsSpan(), tag: 5, timeout: Short)) : peers[0].AllReduceAsync<int>(buffer, tag: 5, timeout: Short)),
            ErrorCode.TimedOut, "tag 5 was not done within 0.5 s", $"peer {peers[2].Id.ToShortString()} (is in no call)", "had not entered it");
        Assert.That(buffer, Is.EqualTo(Enumerable.Range(0, count)));
        AssertFailure(await FailureOf(() => other), ErrorCode.OperationAborted, $"peer {peers[0].Id.ToShortString()} gave up tag 5", "0.5 s");
        await All(peers, p => p.AllReduceAsync<int>(buffer, tag: 5));
    }

    [Test]
    public async Task ABatchHasOneTimeoutForAll()
    {
        var peers = await ConnectGroup(StartMaster(), 2);
        var requests = Enumerable.Range(1, 4).Select(tag => AllReduceRequest.InPlace<int>(new int[5], (ulong)tag)).ToArray();
        AssertFailure(await FailureOf(() => peers[0].AllReduceMultipleWithRetryAsync(requests, 2, Short)), ErrorCode.TimedOut, peers[1].Id.ToShortString());
        await All(peers, p => p.AllReduceAsync<int>(new int[3]));
    }

    [Test]
    public async Task ConnectSaysThatItWasNotAdmitted()
    {
        var master = StartMaster();
        var first = NewCommunicator(master);
        await first.ConnectAsync().WaitAsync(Deadline);
        var second = NewCommunicator(master);
        AssertFailure(await FailureOf(() => second.ConnectAsync(TimeSpan.FromSeconds(4))), ErrorCode.TimedOut, "not connected within 4 s", "has not admitted it");
        await Admit([first], 2, second.ConnectAsync()); // The registration that was given up may be noticed late.
    }

    [Test]
    public async Task TheOptionCountsWhereACallGivesNone()
    {
        var master = StartMaster();
        var patient = NewCommunicator(master, 2);
        var hasty = NewCommunicator(new CommunicatorOptions(master.EndPoint.ToString()) { MinimumWorldSize = 2, ListenPort = 0, CallTimeout = TimeSpan.FromSeconds(3) });
        await All([patient, hasty], p => p.ConnectAsync(Deadline));
        AssertFailure(await FailureOf(() => hasty.AllReduceAsync<int>(new int[3])), ErrorCode.TimedOut, "within 3 s");
    }

    [Test]
    public async Task CrossedTagsAreNamed()
    {
        var master = Own(CollectiveMaster.Start(new MasterOptions { Listen = "127.0.0.1:0", HeartbeatTimeout = TimeSpan.FromSeconds(5), CrossedCallsTimeout = TimeSpan.FromMilliseconds(200), LoggerFactory = Log }));
        var peers = await ConnectGroup(master, 2);
        var calls = peers.Select((p, i) => FailureOf(() => p.AllReduceAsync<int>(new int[3], tag: (ulong)(7 + i))));
        foreach (var failure in await Task.WhenAll(calls).WaitAsync(Deadline))
        {
            AssertFailure(failure, ErrorCode.CrossedCalls, $"peer {peers[0].Id.ToShortString()} is in tag 7", $"peer {peers[1].Id.ToShortString()} is in tag 8");
        }

        await All(peers, p => p.AllReduceAsync<int>(new int[3], tag: 7));
    }

    [Test]
    public async Task AVoteAndAQuestionAreNamed()
    {
        var peers = await ConnectGroup(StartMaster(), 2);
        var failures = await Task.WhenAll(FailureOf(() => peers[0].UpdateTopologyAsync()), FailureOf(() => peers[1].ArePeersPendingAsync())).WaitAsync(Deadline);
        foreach (var failure in failures)
        {
            AssertFailure(failure, ErrorCode.CrossedCalls, $"peer {peers[0].Id.ToShortString()} waits in update topology", $"peer {peers[1].Id.ToShortString()} waits in are peers pending");
        }

        await All(peers, p => p.UpdateTopologyAsync());
    }

    [TestCase(0)]
    [TestCase(-5)]
    public async Task ATimeoutOutOfRangeIsRefused(int milliseconds)
    {
        var peers = await ConnectGroup(StartMaster(), 2);
        AssertFailure(await FailureOf(() => peers[0].AllReduceAsync<int>(new int[3], timeout: TimeSpan.FromMilliseconds(milliseconds))), ErrorCode.InvalidArgument, "choose 1 ms");
        AssertFailure(await FailureOf(() => peers[0].UpdateTopologyAsync(TimeSpan.FromMilliseconds(milliseconds))), ErrorCode.InvalidArgument, "choose 1 ms");
    }
}

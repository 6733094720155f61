using Collective.EndToEnd.Support;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using NUnit.Framework;

namespace Collective.EndToEnd.InProcess;

/// <summary>Options from a configuration, as hosts of .NET have them.</summary>
internal sealed class OptionsTests : EndToEndTest
{
    [Test]
    public async Task OptionsBindToAConfiguration()
    {
        var master = StartMaster();
        var configuration = new ConfigurationBuilder().AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["Collective:Master"] = master.EndPoint.ToString(),
            ["Collective:Group"] = "7",
            ["Collective:StripeCount"] = "2",
            ["Collective:CallTimeout"] = "00:01:00",
            ["Collective:ListenPort"] = "0",
        }).Build();
        using var services = new ServiceCollection()
            .Configure<CommunicatorOptions>(configuration.GetSection("Collective"))
            .PostConfigure<CommunicatorOptions>(o => o.ConnectTimeout = TimeSpan.FromSeconds(20))
            .Configure<MasterOptions>(o => o.Listen = "127.0.0.1:0")
            .BuildServiceProvider();
        var options = services.GetRequiredService<IOptions<CommunicatorOptions>>().Value;
        Assert.That((options.Group, options.StripeCount, options.CallTimeout, options.ListenPort), Is.EqualTo((7u, 2, TimeSpan.FromMinutes(1), (int?)0)));
        Assert.That(options.ConnectTimeout, Is.EqualTo(TimeSpan.FromSeconds(20)));
        Assert.That(services.GetRequiredService<IOptions<MasterOptions>>().Value.Listen, Is.EqualTo("127.0.0.1:0"));

        await using var communicator = new Communicator(options);
        options.Master = "changed after the communicator was made";
        await communicator.ConnectAsync().WaitAsync(Deadline);
        Assert.That(communicator.World.WorldSize, Is.EqualTo(1));
    }

    [Test]
    public void WithoutAMasterTheErrorSaysSo()
        => Assert.That(() => new Communicator(new CommunicatorOptions()), Throws.TypeOf<CollectiveException>().With.Message.Contains("master's address"));
}
